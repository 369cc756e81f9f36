"""`busbar-fast keys`: an operator's words for the management API, and its answers as tables or as JSON.

Knows the API and nothing of a gateway's inside; it may run anywhere. The token comes from the environment, where it is
in no list of processes.
"""

import argparse
import json
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from busbar_fast.subcommand import DEFAULT_URL, EXIT_CODES, Failed, Misused, Parser, Peer, read_token

_COMMAND: Final = "busbar-fast keys"
_TIMEOUT_S: Final = 10.0
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
_EPILOG: Final = f"""\
the token is read from BUSBAR_ADMIN_TOKEN, the address from --url, else BUSBAR_URL, else {DEFAULT_URL}.
{EXIT_CODES}"""

Call = tuple[str, str, Mapping[str, Any] | None]  # method, what follows /admin/keys, document


def run(words: Sequence[str], environ: Mapping[str, str] = os.environ) -> str:
    """Do what these words ask for; return what to print. Raise Failed, Misused or Asked."""
    asked: argparse.Namespace = _new_parser().parse_args(words)
    token = read_token(environ, "BUSBAR_ADMIN_TOKEN")
    if not token:
        raise Failed("BUSBAR_ADMIN_TOKEN is not set")
    call = _call(asked)
    answer = _ask(asked.url or environ.get("BUSBAR_URL", "") or DEFAULT_URL, token, call)
    if asked.json:
        return json.dumps(answer, indent=2, ensure_ascii=False) + "\n"
    if asked.verb == "list":
        return table(answer.get("keys", []))
    return "".join(f"{name:<24}{_shown(name, value)}\n" for name, value in answer.items())


def _new_parser() -> Parser:
    shape = {"formatter_class": argparse.RawDescriptionHelpFormatter, "epilog": _EPILOG}
    shared = Parser(add_help=False)
    shared.add_argument("--url", default="", help="where the gateway is")
    shared.add_argument("--json", action="store_true", help="print the answer as it is")
    parser = Parser(_COMMAND, description="Manage virtual keys.", **shape)  # type: ignore[arg-type]
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
    body = None if document is None else json.dumps(document)
    peer = Peer(_COMMAND, url, _TIMEOUT_S)
    try:
        status, raw = peer.ask(method, f"/admin/keys{path}", {"x-admin-token": token}, body)
    finally:
        peer.close()
    try:
        said = json.loads(raw)
        reason = said["error"]["message"] if status >= _GOOD else ""
    except (ValueError, KeyError, TypeError) as error:
        raise Failed(f"{url}: answered {status}, and not as a gateway does") from error
    if status >= _GOOD:
        raise Failed(f"{url}: {status}: {reason}")
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
