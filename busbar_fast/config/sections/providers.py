"""`providers`: entries of the catalog and of the deployment, merged and checked.

Both files are read into `Entry` values first, types only. Values are checked where a deployment names the provider,
with each complaint at the place that wrote the value.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from itertools import pairwise
from typing import Any

from busbar_fast.config import retired
from busbar_fast.config.complaints import (
    SECRET,
    TORN_USERINFO,
    Complaints,
    Mark,
    Path,
    has_torn_userinfo,
    masked,
    shown,
    without_query,
)
from busbar_fast.config.guards import Exemptions, complaint_of_entry
from busbar_fast.config.guards.verdicts import RefusalKind, judge_base_url, judge_joined_url
from busbar_fast.config.inputs import Inputs
from busbar_fast.config.reading import Check, Section, no_objection
from busbar_fast.config.schema import NONE, Health, Provider, Secret, Security
from busbar_fast.config.secrets import NoSecret, place_of, reveal
from busbar_fast.config.sections.limits import read_health
from busbar_fast.config.sections.references import is_sendable, not_blank, read_reference
from busbar_fast.config.tree import Entries, Scalar
from busbar_fast.config.variables import has_control
from busbar_fast.config.vocabulary import Facts, Vocabulary

CLASSES = (
    "rate_limit",
    "overloaded",
    "server_error",
    "timeout",
    "network",
    "auth",
    "billing",
    "client_error",
    "context_length",
)
AUTH_STYLES = ("bearer", "api-key", "x-api-key")
_BAD_IN_PATH = "\\#"
_REGION = "region"  # the option of protocols that know regions
_MODEL = "{model}"
_find_authority_end = re.compile(r"[/\\?#]").split


class Entry:
    """One provider as one file has it: values by field, and where each was written."""

    __slots__ = ("mark", "marks", "path", "values")

    def __init__(self, section: Section) -> None:
        self.mark = section.mark
        self.path = section.path
        self.values: dict[str, Any] = {}
        self.marks: dict[str, Mark] = {}

    def put(self, section: Section, name: str, value: object) -> None:
        """Keep a value that is there."""
        if value is not None:
            self.values[name] = value
            self.marks[name] = section.mark_of(name)


def read_entry(section: Section, vocabulary: Vocabulary, health: Health, *, is_used: bool = True) -> Entry:
    """Read one entry; of one that nobody uses, types only."""
    entry = Entry(section)
    for name in ("protocol", "base_url", "path", "path_base", "auth"):
        entry.put(section, name, section.maybe_text(name))
    codes = section.maybe_section("error_map")
    entry.put(section, "error_map", None if codes is None else dict(_read_error_map(codes)))
    entry.put(section, "health", read_health(section, health, is_used=is_used))
    hosts = section.texts("allow_metadata_hosts", complaint_of_entry if is_used else no_objection)
    if section.has("allow_metadata_hosts"):
        entry.put(section, "allow_metadata_hosts", hosts)
    for name, default in vocabulary.provider_options.items():
        if isinstance(default, bool):
            flag = section.flag(name, default=default)
            entry.put(section, name, flag if section.has(name) else None)
        else:
            entry.put(section, name, section.maybe_text(name, not_blank))
    return entry


def _put_off(section: Section, vocabulary: Vocabulary) -> None:
    """Note what an entry asks for that this version does not do yet."""
    section.put_off(*vocabulary.later_options)


def _read_error_map(section: Section) -> Iterator[tuple[str, str | None]]:
    """Yield code and class; no class takes a code out of the catalog's."""
    with section as codes:
        for code, node in codes.node.entries.items():
            if node.is_null:
                codes.maybe_node(code)
                yield code, None
            elif (text := codes.maybe_text(code)) is not None:
                yield code, text


def read_catalog(
    root: Section, vocabulary: Vocabulary, health: Health, used: Collection[str], *, is_ours: bool = False
) -> dict[str, Entry]:
    """Return every entry of a catalog; each must at least say what it is. Ours may have what we do not do yet."""
    entries = {}
    for name in root.node.entries:
        node = root.maybe_node(name)
        if not isinstance(node, Entries):
            root.error(name, "must be a map" if node is None else f"must be a map, not {node.kind}")
            continue
        with root.within(name, node) as section:
            section.need("protocol", "base_url")
            if name in used and not is_ours:
                _put_off(section, vocabulary)
            entries[name] = read_entry(section, vocabulary, health, is_used=name in used)
    return entries


class Merger:
    """Makes checked providers of the deployment's entries and the catalog's."""

    def __init__(
        self,
        catalog: Mapping[str, Entry],
        catalog_name: str,
        vocabulary: Vocabulary,
        security: Security,
        inputs: Inputs,
    ) -> None:
        self._catalog = catalog
        self._catalog_name = catalog_name
        self._vocabulary = vocabulary
        self._security = security
        self._inputs = inputs

    def merge(self, section: Section, name: str, health: Health) -> Provider | None:
        """Return the provider of a deployment's entry, None if it cannot be made sense of."""
        _put_off(section, self._vocabulary)
        own = read_entry(section, self._vocabulary, health)
        both = _Merged(own, self._catalog.get(name), section.complaints)
        credential = _read_credential(section, self._inputs, self._complaint_of_key(both))
        allow_plaintext = section.flag("allow_plaintext", default=False)
        if not self._is_defined(section, both, name):
            return None
        facts = self._facts(both)
        exemptions = Exemptions(
            blocked=self._security.blocked_metadata_hosts,
            allowed=(*both.get("allow_metadata_hosts", ()), *self._security.allow_metadata_hosts),
            allow_all=self._security.allow_all_metadata,
            allow_plaintext=allow_plaintext,
        )
        _check_auth(both)
        if "base_url" in both:  # a catalog without it was complained about
            _check_urls(both, facts, exemptions)
        error_map = _merged_error_map(both)
        options = self._options(both, facts)
        if facts is not None and "base_url" in both:
            _warn_of_region(both, facts, options)
        return Provider(
            protocol=both.get("protocol", ""),
            base_url=both.get("base_url", ""),
            path=both.get("path", ""),
            path_base=both.get("path_base", ""),
            auth=both.get("auth", ""),
            error_map=error_map,
            health=both.get("health", health),
            allow_metadata_hosts=both.get("allow_metadata_hosts", ()),
            credential=credential,
            options=options,
        )

    def _is_defined(self, section: Section, both: "_Merged", name: str) -> bool:
        """Complain (E01) about a provider that nobody defines."""
        if name in self._catalog:
            return True
        missing = [field for field in ("protocol", "base_url") if field not in both]
        if any(not section.has(field) for field in missing):  # one that is there is wrong, and noted
            near = section.complaints.hint(name, self._catalog)
            where = f"not in the catalog {self._catalog_name}, and not defined here: {' and '.join(missing)} missing"
            section.complaints.error(section.mark, section.path, where + near)
        return not missing

    def _complaint_of_key(self, both: "_Merged") -> Check:
        """Return what a provider's key must pass; in a way that is not the protocol's own, it is sent as it stands."""
        facts = self._vocabulary.protocols.get(both.get("protocol", ""))
        return no_objection if facts is None or "auth" in both else facts.complaint_of_key

    def _facts(self, both: "_Merged") -> Facts | None:
        protocol = both.get("protocol", "")
        facts = self._vocabulary.protocols.get(protocol)
        if facts is None and "protocol" in both:
            known = list(self._vocabulary.protocols)
            both.error(
                "protocol", f"must be one of {', '.join(known)}{both.complaints.hint(protocol, known)}", protocol
            )
        return facts

    def _options(self, both: "_Merged", facts: Facts | None) -> dict[str, str | bool]:
        """Return the protocol's settings; one that belongs to another protocol would do nothing."""
        if facts is None:
            return {}
        options = dict(facts.provider_options)
        for name in self._vocabulary.provider_options:
            if name in both and name not in options:
                both.error(name, f"has no meaning for the protocol {facts.name}")
            elif name in both:
                options[name] = _checked(both, name, facts)
        return options


def _checked(both: "_Merged", name: str, facts: Facts) -> str | bool:
    """Return the value of one of the protocol's settings, and complain if it may not have it."""
    value: str | bool = both.get(name)
    reason = facts.option_checks[name](value) if isinstance(value, str) else ""
    if reason:
        both.error(name, reason, str(value))
    return value


class _Merged:
    """The deployment's values over the catalog's."""

    def __init__(self, own: Entry, catalogued: Entry | None, complaints: Complaints) -> None:
        self.entries = [own] if catalogued is None else [own, catalogued]
        self.complaints = complaints

    def __contains__(self, name: str) -> bool:
        return any(name in entry.values for entry in self.entries)

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value that counts."""
        return next((entry.values[name] for entry in self.entries if name in entry.values), default)

    def place(self, name: str) -> tuple[Mark, Path]:
        """Return where the value that counts was written."""
        entry = next(entry for entry in self.entries if name in entry.values)
        return entry.marks[name], (*entry.path, name)

    def error(self, name: str, reason: str, got: str | None = None) -> None:
        """Complain about the value that counts."""
        self.complaints.error(*self.place(name), reason, got)

    def warn(self, number: str, name: str, reason: str) -> None:
        """Warn about the value that counts."""
        self.complaints.warn(number, *self.place(name), reason)


def _read_credential(section: Section, inputs: Inputs, complaint_of_key: Check) -> Secret:
    """Return where a provider's key comes from, and warn where it will not work."""
    variable = section.maybe_text("api_key_env", not_blank)
    node = section.maybe_node("api_key")
    secret = NONE
    if isinstance(node, Scalar) and node.text == "none" and not node.is_broken:
        if variable is not None:
            section.error("api_key", "not beside `api_key_env`; give one of them", node.text)
        return NONE
    if isinstance(node, Entries):
        secret = read_reference(section, (*section.path, "api_key"), node, ("env", "file"))
        if variable is not None:
            section.error("api_key", "not beside `api_key_env`; give one of them")
    elif node is not None and variable is not None:
        section.warn("W9", "api_key", "a key written here is ignored; the one of `api_key_env` is used")
    elif node is not None:
        section.error("api_key", "a key must not stand here; name a variable in `api_key_env`", SECRET)
    elif variable is None and not section.has("api_key_env"):
        section.error("api_key_env", "required, and missing; `api_key: none` is for a backend without keys")
    if variable is not None:
        secret = Secret(kind="env", source=variable)
    if secret.kind != "none":
        name = "api_key_env" if variable is not None else "api_key"
        _check_key(section, secret, inputs, name, complaint_of_key)
    return secret


def _check_key(section: Section, secret: Secret, inputs: Inputs, name: str, complaint_of_key: Check) -> None:
    try:
        key = reveal(secret, inputs).strip()
    except NoSecret as error:
        section.error(name, str(error))
        return
    if secret.kind == "env" and not key:
        section.warn("W4", name, f"{place_of(secret, name)} is not set or empty: these lanes have no key")
    reason = complaint_of_key(key)
    if reason:
        section.error(name, f"the key in {place_of(secret, name)} {reason}")
    elif not is_sendable(key):
        section.warn("W12", name, "the key holds a byte that cannot stand in a header")
    if secret.kind == "file" and inputs.is_open_to_all(secret.source):
        section.warn("W16", name, f"every user of this machine can read {secret.source}")


def _check_auth(both: _Merged) -> None:
    style = both.get("auth")
    if style in retired.AUTH_STYLES:
        both.error("auth", "no such way to authenticate exists here yet", style)
    elif style is not None and style not in AUTH_STYLES:
        both.error("auth", f"must be one of {', '.join(AUTH_STYLES)}{both.complaints.hint(style, AUTH_STYLES)}", style)


def _merged_error_map(both: _Merged) -> dict[str, str]:
    merged: dict[str, str] = {}
    for entry in reversed(both.entries):
        for code, kind in entry.values.get("error_map", {}).items():
            if kind is None:
                merged.pop(code, None)
            elif kind not in CLASSES:
                reason = f"must be one of {', '.join(CLASSES)}{both.complaints.hint(kind, CLASSES)}"
                both.complaints.error(entry.marks["error_map"], (*entry.path, "error_map", code), reason, kind)
            else:
                merged[code] = kind
    return merged


def _check_urls(both: _Merged, facts: Facts | None, exemptions: Exemptions) -> None:
    base_url = both.get("base_url", "")
    verdict = judge_base_url(base_url, exemptions)
    is_base_good = verdict.kind is RefusalKind.PASSED
    if not is_base_good:
        both.error("base_url", TORN_USERINFO if has_torn_userinfo(base_url) else verdict.reason, masked(base_url))
    for entry in verdict.used:
        both.warn("W10", "base_url", f"let through by `{shown(entry)}`")
    for name in ("path", "path_base"):
        if name in both and _check_path(both, name) and is_base_good:
            url = base_url.rstrip("/") + both.get(name)
            verdict = judge_joined_url(url, exemptions)
            if verdict.kind is not RefusalKind.PASSED:
                both.error(name, verdict.reason, masked(url))
    if facts is None:
        return
    if "path_base" in both and not facts.takes_path_base:
        both.error("path_base", f"has no meaning for the protocol {facts.name}")
    elif "path" in both and "path_base" in both:
        both.error("path_base", "not beside `path`; give one of them")
    elif "path" in both and _MODEL in facts.path and _MODEL not in both.get("path"):
        both.warn("W17", "path", "has no {model}, so every model of this provider is asked under one name")


def _check_path(both: _Merged, name: str) -> bool:
    path = both.get(name)
    if not path.startswith("/"):
        both.error(name, "must begin with `/`, or it would lengthen the host name", without_query(path))
    elif has_control(path) or any(c in _BAD_IN_PATH or c.isspace() for c in path):
        both.error(name, "must not hold a backslash, `#`, blanks or control characters", without_query(path))
    else:
        return True
    return False


def _warn_of_region(both: _Merged, facts: Facts, options: Mapping[str, str | bool]) -> None:
    if not facts.region_labels or options.get(_REGION):
        return
    if not find_region(both.get("base_url", ""), facts):
        both.warn("W11", "base_url", "no region can be read from the host; set `region`, or us-east-1 is used")


def find_region(base_url: str, facts: Facts) -> str:
    """Return the region in a URL's host: what follows one of the protocol's labels and is shaped like one."""
    authority: str = _find_authority_end(base_url.partition("://")[2], 1)[0].rpartition("@")[2]
    complaint_of_region = facts.option_checks[_REGION]
    for label, following in pairwise(authority.lower().partition(":")[0].split(".")):
        if label in facts.region_labels and not complaint_of_region(following):
            return following
    return ""
