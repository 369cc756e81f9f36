"""`busbar-fast keys`: an operator's words for the management API, and its answers as tables or as JSON.

Knows the API and nothing of a gateway's inside; it may run anywhere. The token comes from the environment, where it is
in no list of processes.
"""

import argparse
import http.client
import json
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn
from urllib.parse import quote, urlsplit

_TIMEOUT_S: Final = 10.0
_DEFAULT_URL: Final = "http://127.0.0.1:8080"
_GOOD: Final = 300
_COLUMNS: Final = {
    "id": "ID",
    "name": "NAME",
    "allowed_pools": "POOLS",
    "max_budget_cents": "BUDGET",
    "budget_period": "PERIOD",
    "rpm_limit": "RPM",
    "tpm_limit": "TPM",
    "enabled": "ENABLED",
    "created_at": "CREATED",
}
_TIMES: Final = frozenset(("created_at", "window_start", "window_end"))
_EPILOG: Final = """\
the token is read from BUSBAR_ADMIN_TOKEN, the address from --url, else BUSBAR_URL, else http://127.0.0.1:8080.
exit codes: 0 done, 1 refused or nobody there, 2 a mistake on the command line
"""

Call = tuple[str, str, Mapping[str, Any] | None]  # method, what follows /admin/keys, document


class Failed(Exception):
    """What was asked for was not done; the text says why."""


class Misused(Exception):
    """The words make no sense; the text says which."""


class Asked(Exception):
    """The words asked for help; the text is it."""


class _Parser(argparse.ArgumentParser):
    """Raises instead of printing."""

    def error(self, message: str) -> NoReturn:
        raise Misused(f"{self.prog}: {message}")

    def print_help(self, file: object = None) -> NoReturn:  # noqa: ARG002  whoever asked prints it
        raise Asked(self.format_help())


def run(words: Sequence[str], environ: Mapping[str, str] = os.environ) -> str:
    """Do what these words ask for; return what to print. Raise Failed, Misused or Asked."""
    asked: argparse.Namespace = _new_parser().parse_args(words)
    token = environ.get("BUSBAR_ADMIN_TOKEN", "").strip()
    if not token:
        raise Failed("BUSBAR_ADMIN_TOKEN is not set")
    if not (token.isascii() and token.isprintable()):
        raise Failed("BUSBAR_ADMIN_TOKEN holds what cannot stand in a header")
    call = _call(asked)
    answer = _ask(asked.url or environ.get("BUSBAR_URL", "") or _DEFAULT_URL, token, call)
    if asked.json:
        return json.dumps(answer, indent=2, ensure_ascii=False) + "\n"
    if asked.verb == "list":
        return table(answer.get("keys", []))
    return "".join(f"{name:<24}{_shown(name, value)}\n" for name, value in answer.items())


def _new_parser() -> _Parser:
    shape = {"formatter_class": argparse.RawDescriptionHelpFormatter, "epilog": _EPILOG}
    shared = _Parser(add_help=False)
    shared.add_argument("--url", default="", help="where the gateway is")
    shared.add_argument("--json", action="store_true", help="print the answer as it is")
    parser = _Parser("busbar-fast keys", description="Manage virtual keys.", **shape)  # type: ignore[arg-type]
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("list", parents=[shared], help="list all keys")
    create = verbs.add_parser("create", parents=[shared], help="mint a key; its secret is shown once")
    create.add_argument("name", help="a label")
    create.add_argument("--period", choices=("total", "daily", "monthly"), help="what the budget is for (total)")
    create.add_argument("--aws", action="store_true", help="mint an AWS credential as well")
    update = verbs.add_parser("update", parents=[shared], help="change a key; `none` takes a limit away")
    update.add_argument("id")
    update.add_argument("--name")
    switch = update.add_mutually_exclusive_group()
    switch.add_argument("--enable", dest="enabled", action="store_true", default=None)
    switch.add_argument("--disable", dest="enabled", action="store_false", default=None)
    for verb in (create, update):
        verb.add_argument("--pools", type=_names, help="pools and models it may ask for, with commas; `all` for all")
        verb.add_argument("--budget-cents", dest="max_budget_cents", type=_limit, metavar="CENTS")
        verb.add_argument("--rpm", dest="rpm_limit", type=_limit, metavar="N", help="requests a minute")
        verb.add_argument("--tpm", dest="tpm_limit", type=_limit, metavar="N", help="tokens a minute")
    for name, text in (("show", "show a key"), ("delete", "delete a key"), ("usage", "show what a key has spent")):
        verbs.add_parser(name, parents=[shared], help=text).add_argument("id")
    return parser


def _names(text: str) -> list[str]:
    names = [name for name in text.split(",") if name]
    if not names:
        raise argparse.ArgumentTypeError("no names; `all` stands for all of them")
    return [] if names == ["all"] else names


def _limit(text: str) -> int | str:
    return text if text == "none" else int(text)


def _members(asked: argparse.Namespace) -> dict[str, Any]:
    """Return the members that were named; those that are to be taken away are None."""
    limits = {name: getattr(asked, name) for name in ("max_budget_cents", "rpm_limit", "tpm_limit")}
    named = {name: None if value == "none" else value for name, value in limits.items() if value is not None}
    others = {"name": asked.name, "allowed_pools": asked.pools}
    return named | {name: value for name, value in others.items() if value is not None}


def _create(asked: argparse.Namespace) -> Call:
    document = _members(asked)
    if asked.period is not None:
        document["budget_period"] = asked.period
    if asked.aws:
        document["issue_aws_credential"] = True
    return "POST", "", document


def _update(asked: argparse.Namespace) -> Call:
    document = _members(asked)
    if asked.enabled is not None:
        document["enabled"] = asked.enabled
    if not document:
        raise Misused("busbar-fast keys update: nothing to change")
    return "PATCH", _path(asked), document


def _path(asked: argparse.Namespace) -> str:
    return "/" + quote(asked.id, safe="")


def _call(asked: argparse.Namespace) -> Call:
    """Return what to ask the gateway."""
    match asked.verb:
        case "list":
            return "GET", "", None
        case "create":
            return _create(asked)
        case "update":
            return _update(asked)
        case "delete":
            return "DELETE", _path(asked), None
        case "usage":
            return "GET", _path(asked) + "/usage", None
        case _:
            return "GET", _path(asked), None


def _ask(url: str, token: str, call: Call) -> Any:
    """Return what the gateway answers. Raise Failed."""
    method, path, document = call
    place = urlsplit(url)
    kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
    if place.scheme not in kinds or not place.hostname:
        raise Misused(f"busbar-fast keys: {url!r} is no URL of a gateway")
    body = None if document is None else json.dumps(document)
    try:
        connection = kinds[place.scheme](place.hostname, place.port, timeout=_TIMEOUT_S)
        try:
            connection.request(method, f"{place.path.rstrip('/')}/admin/keys{path}", body, {"x-admin-token": token})
            answer = connection.getresponse()
            raw = answer.read()
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Failed(f"{url}: {str(error) or type(error).__name__}") from error
    try:
        said = json.loads(raw)
        reason = said["error"]["message"] if answer.status >= _GOOD else ""
    except (ValueError, KeyError, TypeError) as error:
        raise Failed(f"{url}: answered {answer.status}, and not as a gateway does") from error
    if answer.status >= _GOOD:
        raise Failed(f"{url}: {answer.status}: {reason}")
    if not isinstance(said, dict):
        raise Failed(f"{url}: answered, and not as a gateway does")
    return said


def table(keys: Sequence[Mapping[str, Any]]) -> str:
    """Return keys in columns."""
    rows = [list(_COLUMNS.values()), *([_shown(name, key.get(name)) for name in _COLUMNS] for key in keys)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(_COLUMNS))]
    lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines) + "\n"


def _shown(name: str, value: object) -> str:
    """Return a value as people read it."""
    if value is None:
        return "-"
    if isinstance(value, list):
        return ",".join(map(str, value)) or "all"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name in _TIMES and isinstance(value, int):
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(value)) if value else "-"
    return str(value)
