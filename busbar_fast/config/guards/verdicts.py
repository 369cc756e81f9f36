"""Guards A, B and C: whether a configured URL may be used, and thanks to which exemptions.

A guard judges text only; what a name resolves to is judged when it is dialled. It must not know which field a URL
stands in, so the caller adds path, line and value to the reason.
"""

from enum import IntEnum
from typing import NamedTuple

from busbar_fast.config.guards.denylist import PLAINTEXT, is_local_name, is_loopback, within
from busbar_fast.config.guards.hosts import QUERY, Host, Target, read_target
from busbar_fast.config.guards.rules import Exemptions, Level, Rules

ALLOW_PLAINTEXT = "allow_plaintext"


class RefusalKind(IntEnum):
    """Why a URL is refused, for the number of the error."""

    PASSED = 0
    MALFORMED = 1
    SCHEME = 2
    DENIED = 3


class Verdict(NamedTuple):
    """What a guard says about a URL."""

    reason: str = ""  # why it is refused; nothing if it passes
    kind: RefusalKind = RefusalKind.PASSED
    host: str = ""  # in normal form, where one was found
    used: tuple[str, ...] = ()  # the exemptions, as written, without which it would be refused


def judge_base_url(url: str, exemptions: Exemptions) -> Verdict:
    """Return what guard A says about a provider's base_url."""
    target = read_target(url)
    return _judge_provider(target, target.oddities, exemptions)


def judge_joined_url(url: str, exemptions: Exemptions) -> Verdict:
    """Return what guard A says about a base_url with its path, which may end in a query."""
    target = read_target(url)
    return _judge_provider(target, tuple(odd for odd in target.oddities if odd != QUERY), exemptions)


def judge_log_sink(url: str, exemptions: Exemptions) -> Verdict:
    """Return what guard B says about the request log's webhook."""
    return _judge_sink(read_target(url), exemptions, Level.LOG_SINK)


def judge_sink(url: str, exemptions: Exemptions) -> Verdict:
    """Return what guard C says about a trace collector or a routing webhook."""
    return _judge_sink(read_target(url), exemptions, Level.SINK)


def _judge_provider(target: Target, oddities: tuple[str, ...], exemptions: Exemptions) -> Verdict:
    host = target.host
    if target.flaw:
        return _malformed(target)
    if oddities:
        return Verdict(f"a base_url may not hold {oddities[0]} (host {host.name})", RefusalKind.MALFORMED, host.name)
    rules = Rules(exemptions, Level.PROVIDER)
    denied = rules.denied(host)
    used = rules.past_denylist(host, denied) if denied else ()
    if denied and not used:
        return _denied(
            host,
            "is on the metadata denylist; allow it in the provider's allow_metadata_hosts or in "
            "security.allow_metadata_hosts, or set security.allow_all_metadata",
        )
    if target.scheme == "https":
        return Verdict(host=host.name, used=used)
    if target.scheme == "http":
        if denied or is_local_name(host.name) or within(host, PLAINTEXT):
            return Verdict(host=host.name, used=used)
        if exemptions.allow_plaintext:
            return Verdict(host=host.name, used=(ALLOW_PLAINTEXT,))
    return _bad_scheme(host, "https; http is for private and loopback hosts, or with the provider's allow_plaintext")


def _judge_sink(target: Target, exemptions: Exemptions, level: Level) -> Verdict:
    host = target.host
    if target.flaw:
        return _malformed(target)
    rules = Rules(exemptions, level)
    if rules.denied(host):
        return _denied(host, "is on the metadata denylist, which nothing opens for a sink")
    blocked = rules.blocked(host)
    opened_by = rules.past_ranges(host, blocked)
    if blocked and not opened_by:
        return _denied(host, "is private or local; allow it in security.allow_sink_hosts")
    if target.scheme == "https":
        return Verdict(host=host.name, used=opened_by if blocked else ())
    if target.scheme == "http":
        if level is Level.SINK and is_loopback(host):
            return Verdict(host=host.name)
        if opened_by:
            return Verdict(host=host.name, used=opened_by)
    needed = "https; http is for loopback and" if level is Level.SINK else "https; http is for"
    return _bad_scheme(host, f"{needed} hosts in security.allow_sink_hosts")


def _malformed(target: Target) -> Verdict:
    return Verdict(target.flaw, RefusalKind.MALFORMED, target.host.name)


def _denied(host: Host, why: str) -> Verdict:
    return Verdict(f"host {host.name} {why}", RefusalKind.DENIED, host.name)


def _bad_scheme(host: Host, needed: str) -> Verdict:
    return Verdict(f"host {host.name} needs {needed}", RefusalKind.SCHEME, host.name)
