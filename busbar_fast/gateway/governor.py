"""Virtual keys in force: who a caller is, what it may still do, and that what it spends is kept.

The governor owns the ring of keys, the ledger and the store for as long as the process lives. Requests only touch the
first two, which are memory. What they change is stored a moment later, in one transaction for all of it; what could not
be stored is kept and tried again. Changes of keys are stored first and come into force then, one after the other, each
in a task of its own, so that an operator who hangs up leaves nothing half done.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeVar

from busbar_fast.aws.minting import new_pair
from busbar_fast.aws.verify import Incoming, IssuedKey, Verifier
from busbar_fast.config.schema import Governance
from busbar_fast.dialects.dialect import Usage
from busbar_fast.dialects.faults import Fault, Kind
from busbar_fast.dialects.registry import speak_all
from busbar_fast.gateway.strangers import Strangers
from busbar_fast.gateway.topology import Topology
from busbar_fast.governance.drafts import changed
from busbar_fast.governance.keys import Held, Key, KeyRing, Pair, mint
from busbar_fast.governance.ledger import Charge, Delta, Ledger, Prices, Refused, Standing, prices
from busbar_fast.governance.sealing import Sealer, parse_key
from busbar_fast.governance.store import Store, StoreError
from busbar_fast.observe.log import fields
from busbar_fast.wire.heads import RequestHead
from busbar_fast.wire.repeated import values_of

_log: Final = logging.getLogger("busbar_fast.governance")

_SWEEP_S: Final = 60.0
_MINTINGS: Final = 3
_OK: Final = 200
_NOT_OK: Final = 300

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Created:
    """A new key, with what is shown of it only now."""

    key: Key
    secret: str
    pair: Pair | None

    def __repr__(self) -> str:
        return f"<Created {self.key.id}>"


class _Flush(NamedTuple):
    """What is being stored."""

    done: Future[None]
    deltas: list[Delta]


class Governor:
    """See the module. Raise StoreError or BadSeal if the database cannot be used; blocks until everything is read."""

    __slots__ = (
        "_changing",
        "_epoch_s",
        "_flushing",
        "_is_broken",
        "_is_closed",
        "_ledger",
        "_loop",
        "_rules",
        "_store",
        "_sweeping",
        "_tasks",
        "_timer",
        "_verifier",
        "flush_failures",
        "has_truncated",
        "ring",
        "strangers",
    )

    def __init__(
        self,
        rules: Governance,
        loop: asyncio.AbstractEventLoop,
        sealing_key: str = "",
        epoch_s: Callable[[], float] = time.time,
    ) -> None:
        self._epoch_s = epoch_s
        self._loop = loop
        self._rules = rules
        self._ledger = Ledger(_prices(rules), rules.rate_sweep_interval, self.now_s)
        self._store = Store(rules.db_path, Sealer(parse_key(sealing_key) if sealing_key else b""))
        stored = self._store.open(rules.sqlite_busy_timeout_ms, self.now_s)
        self.ring = KeyRing(stored.held)
        for live in stored.live:
            self._ledger.load(live)
        for key_id in stored.odd:
            _log.warning("a key's budget_period is unknown and counts as total", extra=fields(key=key_id))
        self._changing = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._flushing: _Flush | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._sweeping = loop.call_later(_SWEEP_S, self._sweep)
        self._verifier = Verifier(
            next(spoken.aws_service for spoken in speak_all() if spoken.aws_service), self._issued
        )
        self._is_closed = False
        self._is_broken = False  # the last attempt to store something failed
        self.strangers = Strangers()
        self.flush_failures = 0
        self.has_truncated = False  # `/metrics` could not show every key, and said so

    @property
    def now_s(self) -> int:
        """The second by the clock on the wall."""
        return int(self._epoch_s())

    @property
    def estimates(self) -> bool:
        """Whether those who leave in the middle pay for what they had, whatever was told of it."""
        return self._rules.on_disconnect == "estimate"

    def replace(self, rules: Governance) -> None:
        """Go on under other rules; where keys are stored stays as it is."""
        self._rules = rules
        self._ledger.prices = _prices(rules)
        self._ledger.sweep_every = rules.rate_sweep_interval

    # Callers

    def find(self, token: bytes) -> Key | None:
        """Return the key that a token is the secret of."""
        return self.ring.find(token)

    def find_signer(self, head: RequestHead, body: bytes) -> Key | None:
        """Return the key that a request is signed with, None if the signature does not hold."""
        pairs = [(name, value) for name, joined in head.fields.items() for value in values_of(joined)]
        verdict = self._verifier.verify(Incoming(head.method, head.target, pairs, body), self.now_s)
        held = self.ring.find_pair(verdict.access_key) if verdict.is_admitted else None
        return None if held is None else held.key

    def charge(self, key: Key, name: str, topology: Topology, at_s: int, weigh: Callable[[], int]) -> Charge | Fault:
        """Charge a request for this name, or return why not. `weigh` tells how many tokens it may use at most.

        Nobody has looked up the name yet: a key that may ask for a few learns nothing about the others. The key is the
        one that the head of the request showed; what has become of it since then counts.
        """
        held = self.ring.get(key.id)
        if held is None or not held.key.enabled:
            return Fault(Kind.UNAUTHENTICATED)
        key = held.key
        if key.allowed_pools and not is_permitted(key, name, topology):
            return Fault(Kind.FORBIDDEN)
        if self._is_broken and key.max_budget_cents is not None and self._rules.budget_on_store_error == "deny":
            return Fault(Kind.OVER_BUDGET)
        is_reserving = self._rules.reserve_tokens and key.max_budget_cents is not None
        admitted = self._ledger.admit(key, at_s, weigh() if is_reserving else 0)
        if not isinstance(admitted, Refused):
            self._arm()
            return admitted
        if admitted.retry_after_s is None:
            return Fault(Kind.OVER_BUDGET)
        return Fault(Kind.RATE_LIMITED, retry_after_s=admitted.retry_after_s)

    def settle(self, charge: Charge, status: int | None, used: Usage | None) -> None:
        """Keep a charge for a good answer, with the tokens that it used; else give it back."""
        if status is not None and _OK <= status < _NOT_OK:
            charge.settle(0 if used is None else used.input_tokens + used.output_tokens)
        else:
            charge.close()
        self._arm()

    def standing(self, key: Key) -> Standing:
        """Return where a key stands."""
        return self._ledger.standing(key, self.now_s)

    def headroom(self, key: Key) -> float | None:
        """Return which share of its minute a key has left; None if its rate is not limited, or if it is gone."""
        held = self.ring.get(key.id)
        return None if held is None else self._ledger.headroom(held.key, self.now_s)

    # Keys

    async def create(self, members: Mapping[str, Any], *, wants_pair: bool) -> Created:
        """Mint a key. Raise StoreError, and OSError if there is no randomness."""
        return await self._change(self._create(members, wants_pair=wants_pair))

    async def update(self, key_id: str, changes: Mapping[str, Any]) -> Key | None:
        """Change a key; return it as it is then, None if there is none. Raise StoreError."""
        return await self._change(self._update(key_id, changes))

    async def delete(self, key_id: str) -> bool:
        """Delete a key and all that belongs to it; return whether there was one. Raise StoreError."""
        return await self._change(self._delete(key_id))

    async def _change(self, change: Coroutine[Any, Any, _Result]) -> _Result:
        """Do one change after the other, whoever still waits for it."""
        task = self._loop.create_task(self._alone(change))
        self._tasks.add(task)
        task.add_done_callback(self._on_changed)
        return await asyncio.shield(task)

    def _on_changed(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.debug("a change failed: %s", task.exception())

    async def _alone(self, change: Coroutine[Any, Any, _Result]) -> _Result:
        async with self._changing:
            return await change

    async def _create(self, members: Mapping[str, Any], *, wants_pair: bool) -> Created:
        for _ in range(_MINTINGS):
            minted = mint()
            if self.ring.get(minted.id) is None:
                break
        else:
            raise StoreError("no id is free")
        pair = None
        if wants_pair:
            made = new_pair()
            pair = Pair(made.access_key.decode(), made.secret)
        held = Held(Key(id=minted.id, created_at=self.now_s, **members), minted.digest, pair)
        await asyncio.wrap_future(self._store.insert(held))
        self.ring.put(held)
        return Created(held.key, minted.secret, pair)

    async def _update(self, key_id: str, changes: Mapping[str, Any]) -> Key | None:
        held = self.ring.get(key_id)
        if held is None:
            return None
        if changes:
            held = held._replace(key=changed(held.key, changes))
            await asyncio.wrap_future(self._store.update(held.key))
            self.ring.put(held)
        return held.key

    async def _delete(self, key_id: str) -> bool:
        if self.ring.get(key_id) is None:
            return False
        await asyncio.wrap_future(self._store.delete(key_id))
        self.ring.remove(key_id)
        self._ledger.forget(key_id)
        return True

    # What is stored by and by

    def _arm(self) -> None:
        """Store soon what has changed."""
        if self._timer is None and self._flushing is None and not self._is_closed:
            self._timer = self._loop.call_later(self._rules.usage_flush_interval_ms / 1000, self._flush)

    def _flush(self) -> None:
        self._timer = None
        deltas = self._ledger.take_deltas()
        if deltas or self._is_broken:  # with nothing to store it still shows whether anything could be
            self._flushing = _Flush(self._store.add(deltas), deltas)
            asyncio.wrap_future(self._flushing.done, loop=self._loop).add_done_callback(self._on_flushed)

    def _on_flushed(self, done: "asyncio.Future[None]") -> None:
        flush, self._flushing = self._flushing, None
        if flush is None:
            return  # closed meanwhile
        error = done.exception()
        if error is not None:
            self._ledger.give_back(flush.deltas)
            self.flush_failures += 1
            if not self._is_broken:
                _log.error("what keys have spent could not be stored; it is kept and tried again: %s", error)
        elif self._is_broken:
            _log.info("what keys have spent is stored again")
        self._is_broken = error is not None
        if self._ledger.is_dirty or self._is_broken:
            self._arm()

    def _sweep(self) -> None:
        self._ledger.sweep(self.now_s)
        self._sweeping = self._loop.call_later(_SWEEP_S, self._sweep)

    def close(self) -> None:
        """Store what is left, and let go of the database; blocks."""
        self._is_closed = True
        self._sweeping.cancel()
        if self._timer is not None:
            self._timer.cancel()
        flush, self._flushing = self._flushing, None
        if flush is not None and flush.done.exception() is not None:
            self._ledger.give_back(flush.deltas)
        deltas = self._ledger.take_deltas()
        try:
            self._store.add(deltas).result()
        except StoreError as error:
            _log.error("what keys have spent lately is lost: %s", error, extra=fields(rows=len(deltas)))
        finally:
            self._store.close()

    def _issued(self, access_key: str) -> IssuedKey | None:
        held = self.ring.find_pair(access_key)
        return None if held is None or held.pair is None else IssuedKey(held.pair.secret, held.key.enabled)


def is_permitted(key: Key, name: str, topology: Topology) -> bool:
    """Say whether a key may ask for a name, and for every pool that a request for it may fall back to."""
    offer = topology.find(name) or topology.find_lane(name.partition("/")[2])
    if offer is None:
        return False
    for reached in topology.reach(offer):  # noqa: SIM110  HOT: a generator takes as long as all of this, 3.11, 2026-11
        if not key.permits(reached):
            return False
    return True


def _prices(rules: Governance) -> Prices:
    return prices(rules.price_per_request_cents, rules.price_per_1k_tokens_cents, rules.price_per_1m_tokens_cents)
