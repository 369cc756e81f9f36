"""The management API: operators mint, change, look at and delete virtual keys.

Nothing that a caller sent is repeated to it, secrets are shown once, and every change leaves a line in the log that
says from where which members were changed, never to what.
"""

import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson

from busbar_fast.clock import now
from busbar_fast.dialects.faults import Fault, Kind
from busbar_fast.errors import BodyTooLarge
from busbar_fast.gateway.admission import Admission
from busbar_fast.gateway.replies import refuse
from busbar_fast.gateway.visits import Visit
from busbar_fast.governance.drafts import BadDraft, read_changes, read_new
from busbar_fast.governance.keys import Held
from busbar_fast.governance.store import StoreError
from busbar_fast.observe.log import fields
from busbar_fast.wire.exchange import Exchange

if TYPE_CHECKING:
    from busbar_fast.gateway.governor import Governor

_log = logging.getLogger("busbar_fast.audit")

_HEAD: Final = b"Content-Type: application/json\r\nCache-Control: no-store\r\n"
_MOST_BYTES: Final = 65536
_MOST_ID: Final = 64
_MOST_FAILURES: Final = 10  # logins a second
_OK, _CREATED, _BAD, _MISSING, _NOT_ALLOWED, _TOO_LARGE, _TOO_MANY, _FAILED = 200, 201, 400, 404, 405, 413, 429, 500
_KINDS: Final = {_MISSING: "not_found_error", _TOO_MANY: "rate_limit_error", _FAILED: "internal_error"}
_match_path = re.compile(rb"/admin/keys(?:/([^/]+)(/usage)?)?").fullmatch

Answer = tuple[int, Mapping[str, Any]]
Operation = Callable[[Exchange, str], Awaitable[Answer]]


class Refusal(Exception):
    """Why an operator does not get what was asked for; the text is for the operator."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Office:
    """Serves the operators that one admission lets in."""

    __slots__ = ("_failures", "_governor", "_operations", "_second", "admission")

    def __init__(self, admission: Admission) -> None:
        assert admission.governor is not None  # there is something to manage
        self.admission = admission
        self._governor: Governor = admission.governor
        self._second, self._failures = 0.0, 0
        self._operations: Mapping[str, Mapping[bytes, Operation]] = {
            "keys": {b"GET": self._list, b"POST": self._create},
            "key": {b"GET": self._show, b"PATCH": self._update, b"DELETE": self._delete},
            "usage": {b"GET": self._show_usage},
        }

    async def serve(self, exchange: Exchange, visit: Visit) -> None:
        """Answer one request."""
        if not self.admission.admits_admin(exchange.head.fields):
            self._turn_away(exchange, visit)
            return
        match = _match_path(visit.path)
        if match is None:
            name = f"{exchange.head.method.decode()} {visit.path.decode('latin-1')}"
            refuse(exchange, visit.dialect, visit.ask, Fault(Kind.UNKNOWN_PATH, name=name))
            return
        raw_id, is_usage = match.groups()
        operations = self._operations["keys" if raw_id is None else "usage" if is_usage else "key"]
        operation = operations.get(exchange.head.method)
        if operation is None:
            allow = b"Allow: %b\r\n" % b", ".join(operations)
            _reply(exchange, _NOT_ALLOWED, _error(_NOT_ALLOWED, "method not allowed"), allow)
            return
        status, answer = await self._operate(operation, exchange, raw_id)
        named = answer.get("allowed_pools", ()) if exchange.head.method != b"GET" else ()
        unknown = [name for name in named if visit.topology.find(name) is None]
        if unknown:
            _log.warning(
                "a key may ask for names that nobody configured", extra=fields(key=answer["id"], names=unknown)
            )
        _reply(exchange, status, answer)

    async def _operate(self, operation: Operation, exchange: Exchange, raw_id: bytes | None) -> Answer:
        if raw_id is not None and len(raw_id) > _MOST_ID:
            return _BAD, _error(_BAD, "no id is as long as this")
        try:
            return await operation(exchange, "" if raw_id is None else raw_id.decode("latin-1"))
        except Refusal as refusal:
            return refusal.status, _error(refusal.status, str(refusal))
        except BadDraft as error:
            return _BAD, _error(_BAD, str(error))
        except (StoreError, OSError) as error:
            _log.error("an operator's request failed: %s", error)
            return _FAILED, _error(_FAILED, "the request could not be carried out")

    def _turn_away(self, exchange: Exchange, visit: Visit) -> None:
        """Refuse who shows no token that is right; of many in one second most hear that it is enough."""
        second = now() // 1
        if second != self._second:
            self._second, self._failures = second, 0
        self._failures += 1
        if self._failures > _MOST_FAILURES:
            _reply(exchange, _TOO_MANY, _error(_TOO_MANY, "too many attempts"), b"Retry-After: 1\r\n")
        else:
            refuse(exchange, visit.dialect, visit.ask, Fault(Kind.UNAUTHENTICATED))

    # Operations

    async def _list(self, exchange: Exchange, key_id: str) -> Answer:  # noqa: ARG002  all of them
        return _OK, {"keys": [_shown(held) for held in self._governor.ring.all()]}

    async def _create(self, exchange: Exchange, key_id: str) -> Answer:  # noqa: ARG002  it has none yet
        members, wants_pair = read_new(await _read_body(exchange))
        created = await self._governor.create(members, wants_pair=wants_pair)
        _audit(exchange, "create", created.key.id, members)
        answer = {**created.key._asdict(), "secret": created.secret}
        if created.pair is not None:
            answer["aws_access_key_id"] = created.pair.access_key
            answer["aws_secret_access_key"] = created.pair.secret.decode()
        return _CREATED, answer

    async def _show(self, exchange: Exchange, key_id: str) -> Answer:  # noqa: ARG002  the path says it
        return _OK, _shown(self._held(key_id), with_pair=True)

    async def _update(self, exchange: Exchange, key_id: str) -> Answer:
        changes = read_changes(await _read_body(exchange))
        key = await self._governor.update(key_id, changes)
        if key is None:
            raise Refusal(_MISSING, "no such key")
        _audit(exchange, "update", key_id, changes)
        return _OK, key._asdict()

    async def _delete(self, exchange: Exchange, key_id: str) -> Answer:
        if not await self._governor.delete(key_id):
            raise Refusal(_MISSING, "no such key")
        _audit(exchange, "delete", key_id, {})
        return _OK, {"deleted": key_id}

    async def _show_usage(self, exchange: Exchange, key_id: str) -> Answer:  # noqa: ARG002  the path says it
        key = self._held(key_id).key
        standing = self._governor.standing(key)
        return _OK, {
            "id": key.id,
            "spend_cents": standing.spend_cents,
            "tokens": standing.tokens,
            "requests": standing.requests,
            "window_start": standing.window_start,
            "window_end": standing.window_end,
            "budget_remaining_cents": standing.remaining_cents,
        }

    def _held(self, key_id: str) -> Held:
        held = self._governor.ring.get(key_id)
        if held is None:
            raise Refusal(_MISSING, "no such key")
        return held


def _shown(held: Held, *, with_pair: bool = False) -> Mapping[str, Any]:
    """Return what an operator may see of a key."""
    shown = held.key._asdict()
    if with_pair and held.pair is not None:
        shown["aws_access_key_id"] = held.pair.access_key
    return shown


async def _read_body(exchange: Exchange) -> bytes:
    try:
        body = await exchange.read_body()
    except BodyTooLarge as error:
        raise Refusal(_TOO_LARGE, "the body is too large") from error
    if len(body) > _MOST_BYTES:
        raise Refusal(_TOO_LARGE, "the body is too large")
    return body


def _audit(exchange: Exchange, action: str, key_id: str, members: Mapping[str, Any]) -> None:
    _log.info(
        "a key was changed",
        extra=fields(action=action, key=key_id, members=",".join(sorted(members)), peer=exchange.client.peer),
    )


def _error(status: int, message: str) -> Mapping[str, Any]:
    return {"error": {"message": message, "type": _KINDS.get(status, "invalid_request_error")}}


def _reply(exchange: Exchange, status: int, answer: Mapping[str, Any], more: bytes = b"") -> None:
    exchange.reply(status, _HEAD + more, orjson.dumps(answer))
