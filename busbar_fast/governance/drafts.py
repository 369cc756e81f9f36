"""What an operator may say of a key in JSON, judged field by field; complaints name fields and never repeat a value."""

import unicodedata
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from busbar_fast.errors import BusbarError, Side
from busbar_fast.governance.keys import PERIODS, Key

_MOST_CENTS: Final = 2**63 - 1
_MOST_PER_MINUTE: Final = 2**32 - 1
_MOST_CHARACTERS: Final = 256


class BadDraft(BusbarError):
    """Not what a key may be; the text is for whoever sent it."""

    side = Side.DOWNSTREAM
    status = 400


def read_new(body: bytes) -> tuple[Mapping[str, Any], bool]:
    """Return the members of a new key that were given, and whether it is to have an AWS credential. Raise BadDraft."""
    given = _read(body, _NEW)
    if given.get("name") is None:
        raise BadDraft("name: required")
    wants_pair = bool(given.pop("issue_aws_credential", False))
    period = given.pop("budget_period", None)
    pools = given.pop("allowed_pools", None)
    return {**given, "budget_period": period or "total", "allowed_pools": pools or ()}, wants_pair


def read_changes(body: bytes) -> Mapping[str, Any]:
    """Return the members that are to change; null clears a limit and leaves all else as it is. Raise BadDraft."""
    given = _read(body, _CHANGES)
    return {name: value for name, value in given.items() if value is not None or name in _LIMITS}


def changed(key: Key, changes: Mapping[str, Any]) -> Key:
    """Return a key with these changes."""
    return key._replace(**changes)


def _read(body: bytes, members: Mapping[str, Callable[[object], Any]]) -> dict[str, Any]:
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadDraft("the body is not valid JSON") from error
    if not isinstance(given, dict):
        raise BadDraft("the body must be a JSON object")
    if not given.keys() <= members.keys():
        raise BadDraft(f"unknown member; known are: {', '.join(members)}")
    judged: dict[str, Any] = {}
    for name, value in given.items():
        try:
            judged[name] = None if value is None else members[name](value)
        except ValueError as error:
            raise BadDraft(f"{name}: {error}") from error
    return judged


def _name(value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= _MOST_CHARACTERS or not value.strip():
        raise ValueError(f"a text of 1 to {_MOST_CHARACTERS} characters that is not blank")
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in value):
        raise ValueError("no control characters")
    return value


def _pools(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise ValueError("a list of names")
    return tuple(dict.fromkeys(value))


def _period(value: object) -> str:
    if value not in PERIODS:
        raise ValueError(f"one of {', '.join(PERIODS)}")
    return str(value)


def _flag(value: object) -> bool:
    if value is not True and value is not False:
        raise ValueError("true or false")
    return value


def _cents(value: object) -> int:
    return _integer(value, 0, _MOST_CENTS)


def _per_minute(value: object) -> int:
    return _integer(value, 1, _MOST_PER_MINUTE)


def _integer(value: object, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ValueError(f"an integer from {least} to {most}; null for no limit")
    return value


_LIMITS: Final[Mapping[str, Callable[[object], Any]]] = {
    "max_budget_cents": _cents,
    "rpm_limit": _per_minute,
    "tpm_limit": _per_minute,
}
_CHANGES: Final[Mapping[str, Callable[[object], Any]]] = {
    "name": _name,
    "allowed_pools": _pools,
    "enabled": _flag,
    **_LIMITS,
}
_NEW: Final[Mapping[str, Callable[[object], Any]]] = {
    "name": _name,
    "allowed_pools": _pools,
    "budget_period": _period,
    "issue_aws_credential": _flag,
    **_LIMITS,
}
