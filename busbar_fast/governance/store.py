"""Where keys and what they have spent are kept: SQLite, one connection on a thread of its own.

Everything that touches the database runs on that thread, one thing after the other; callers get futures. The file is
locked for as long as it is open, beside itself, so that no two gateways count in the same rows. Spend is stored as
additions in one transaction, so what failed can be tried again and nothing is ever added twice.
"""

import fcntl
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from busbar_fast.errors import BusbarError
from busbar_fast.governance.keys import PERIODS, Held, Key, Pair
from busbar_fast.governance.ledger import CENT, MOST, Delta
from busbar_fast.governance.mounts import maybe_network_type
from busbar_fast.governance.sealing import Sealer, is_sealed
from busbar_fast.governance.windows import period_start

MEMORY: Final = ":memory:"
_VERSION: Final = 1  # of our additions to the tables
_MOST_PER_MINUTE: Final = 2**32 - 1
_MOST_CENTS: Final = 2**63 - 1

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS virtual_keys (
  id TEXT PRIMARY KEY, key_hash TEXT NOT NULL UNIQUE, name TEXT NOT NULL, allowed_pools TEXT NOT NULL DEFAULT '[]',
  max_budget_cents INTEGER, budget_period TEXT NOT NULL DEFAULT 'total', rpm_limit INTEGER, tpm_limit INTEGER,
  enabled INTEGER NOT NULL DEFAULT 1, created_at INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS aws_credentials (
  access_key_id TEXT PRIMARY KEY, key_id TEXT NOT NULL, secret_access_key TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS aws_credentials_key_id ON aws_credentials (key_id);
CREATE TABLE IF NOT EXISTS usage_counters (
  key_id TEXT NOT NULL, window_start INTEGER NOT NULL, spend_cents INTEGER NOT NULL DEFAULT 0,
  tokens INTEGER NOT NULL DEFAULT 0, requests INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (key_id, window_start));
"""
_ADD: Final = """
INSERT INTO usage_counters (key_id, window_start, spend_cents, spend_millicents, tokens, requests)
SELECT :key, :window, max(0, :millicents) / 1000, max(0, :millicents) % 1000, max(0, :tokens), max(0, :requests)
WHERE EXISTS (SELECT 1 FROM virtual_keys WHERE id = :key)
ON CONFLICT (key_id, window_start) DO UPDATE SET
  spend_cents = min(:most, max(0, min(:most / 1000, spend_cents) * 1000 + spend_millicents + :millicents)) / 1000,
  spend_millicents = min(:most, max(0, min(:most / 1000, spend_cents) * 1000 + spend_millicents + :millicents)) % 1000,
  tokens = min(:most, max(0, min(:most, max(0, tokens)) + :tokens)),
  requests = min(:most, max(0, min(:most, max(0, requests)) + :requests))
"""
_FIELDS: Final = "id, name, allowed_pools, max_budget_cents, budget_period, rpm_limit, tpm_limit, enabled, created_at"

_Result = TypeVar("_Result")


class StoreError(BusbarError):
    """The database cannot be opened, or did not do what it was asked; the text is for the log alone."""


class Stored(NamedTuple):
    """What a store holds at the start: all keys, what they have spent in their live windows, and odd periods."""

    held: list[Held]
    live: list[Delta]
    odd: list[str]  # ids of keys with a period that nobody knows


def _maybe_network_type(path: str) -> str:
    with suppress(OSError), Path("/proc/self/mountinfo").open(encoding="utf-8", errors="surrogateescape") as mounts:
        return maybe_network_type(os.path.realpath(path), mounts.read())
    return ""  # a system that does not tell


class Store:
    """See the module. Raise StoreError from `open` and from every future, and from `open` BadSeal."""

    __slots__ = ("_connection", "_lock", "_path", "_sealer", "_thread")

    def __init__(self, path: str, sealer: Sealer = Sealer()) -> None:  # noqa: B008  one without a key, never changed
        self._path = path
        self._sealer = sealer
        self._thread = ThreadPoolExecutor(1, "store")
        self._lock = -1
        self._connection: sqlite3.Connection | None = None

    def open(self, busy_timeout_ms: int, at_s: int) -> Stored:
        """Open and read everything; blocks, for nobody is served before."""
        try:
            return self._submit(lambda: self._open(busy_timeout_ms, at_s)).result()
        except BusbarError:
            self.close()
            raise

    def insert(self, held: Held) -> Future[None]:
        """Store a new key with its credential."""
        return self._submit(lambda: self._insert(held))

    def update(self, key: Key) -> Future[None]:
        """Store the changes of a key."""
        return self._submit(lambda: self._update(key))

    def delete(self, key_id: str) -> Future[None]:
        """Drop a key, its credential and its counters together."""
        return self._submit(lambda: self._delete(key_id))

    def add(self, deltas: Iterable[Delta]) -> Future[None]:
        """Add to the counters, all or nothing."""
        amounts = [
            {
                "key": d.key_id,
                "window": d.window_s,
                "millicents": d.millicents,
                "tokens": d.tokens,
                "requests": d.requests,
                "most": MOST,
            }
            for d in deltas
        ]
        return self._submit(lambda: self._transact(lambda cursor: cursor.executemany(_ADD, amounts)))

    def close(self) -> None:
        """Finish what was begun and let go of the file; blocks. May be called again."""
        with suppress(StoreError, RuntimeError):  # a second time there is no thread
            self._submit(self._close).result()
        self._thread.shutdown()

    # On the thread

    def _submit(self, work: Callable[[], _Result]) -> Future[_Result]:
        def converting() -> _Result:
            try:
                return work()
            except (sqlite3.Error, OSError, OverflowError) as error:
                raise StoreError(f"{type(error).__name__}: {error}") from error

        return self._thread.submit(converting)

    def _open(self, busy_timeout_ms: int, at_s: int) -> Stored:
        if self._path != MEMORY:
            self._take_file()
        connection = self._connection = sqlite3.connect(
            self._path, busy_timeout_ms / 1000, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        self._migrate(connection)
        return self._read(connection, at_s)

    def _take_file(self) -> None:
        """Make the file if there is none, readable by us alone, and lock it. Raise StoreError if another one has it."""
        path = self._path
        kind = _maybe_network_type(path)
        if kind:
            raise StoreError(f"it lies on a network file system ({kind}), where two gateways would not see each other")
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        Path(path).chmod(0o600)
        self._lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreError("another gateway uses this database") from error

    def _migrate(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > _VERSION:
            raise StoreError(f"the database is of version {version}, newer than this program knows ({_VERSION})")
        connection.executescript(_TABLES)
        columns = {row[1] for row in connection.execute("PRAGMA table_info(usage_counters)")}

        def add_columns(cursor: sqlite3.Cursor) -> None:
            if "spend_millicents" not in columns:
                cursor.execute("ALTER TABLE usage_counters ADD COLUMN spend_millicents INTEGER NOT NULL DEFAULT 0")
            cursor.execute(f"PRAGMA user_version={_VERSION}")

        self._transact(add_columns)

    def _read(self, connection: sqlite3.Connection, at_s: int) -> Stored:
        pairs = self._read_pairs(connection)
        held = []
        live = []
        for digest, *columns in connection.execute(f"SELECT key_hash, {_FIELDS} FROM virtual_keys"):  # noqa: S608  ours
            key = _key_of(columns)
            held.append(Held(key, digest, pairs.get(key.id)))
            window_s = period_start(key.budget_period, at_s)
            row = connection.execute(
                "SELECT spend_cents, spend_millicents, tokens, requests FROM usage_counters"
                " WHERE key_id = ? AND window_start = ?",
                (key.id, window_s),
            ).fetchone()
            if row is not None:
                cents, millicents, tokens, requests = (_count(number, key.id) for number in row)
                live.append(Delta(key.id, window_s, min(cents * CENT + millicents, MOST), tokens, requests))
        odd = [one.key.id for one in held if one.key.budget_period not in PERIODS]
        return Stored(held, live, odd)

    def _read_pairs(self, connection: sqlite3.Connection) -> dict[str, Pair]:
        """Return AWS credentials by the ids of their keys; with a key to seal them, have them all sealed."""
        rows = connection.execute("SELECT access_key_id, key_id, secret_access_key FROM aws_credentials").fetchall()
        opened = [(access_key, key_id, self._sealer.open(secret, access_key)) for access_key, key_id, secret in rows]
        if self._sealer.is_active and not all(is_sealed(secret) for _, _, secret in rows):
            sealed = [(self._sealer.seal(secret, access_key), access_key) for access_key, _, secret in opened]
            statement = "UPDATE aws_credentials SET secret_access_key = ? WHERE access_key_id = ?"
            self._transact(lambda cursor: cursor.executemany(statement, sealed))
        return {key_id: Pair(access_key, secret.encode()) for access_key, key_id, secret in opened}

    def _insert(self, held: Held) -> None:
        key, pair = held.key, held.pair

        def insert(cursor: sqlite3.Cursor) -> None:
            cursor.execute(
                f"INSERT INTO virtual_keys (key_hash, {_FIELDS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
                (held.digest, *_columns_of(key)),
            )
            if pair is not None:
                cursor.execute(
                    "INSERT INTO aws_credentials (access_key_id, key_id, secret_access_key) VALUES (?, ?, ?)",
                    (pair.access_key, key.id, self._sealer.seal(pair.secret.decode(), pair.access_key)),
                )

        self._transact(insert)

    def _update(self, key: Key) -> None:
        columns = _columns_of(key)
        names = ", ".join(f"{name.strip()} = ?" for name in _FIELDS.split(",")[1:])
        statement = f"UPDATE virtual_keys SET {names} WHERE id = ?"  # noqa: S608  ours
        self._transact(lambda cursor: cursor.execute(statement, (*columns[1:], key.id)))

    def _delete(self, key_id: str) -> None:
        def delete(cursor: sqlite3.Cursor) -> None:
            cursor.execute("DELETE FROM virtual_keys WHERE id = ?", (key_id,))
            cursor.execute("DELETE FROM aws_credentials WHERE key_id = ?", (key_id,))
            cursor.execute("DELETE FROM usage_counters WHERE key_id = ?", (key_id,))

        self._transact(delete)

    def _transact(self, work: Callable[[sqlite3.Cursor], object]) -> None:
        """Do something as a whole, or not at all."""
        connection = self._connection
        if connection is None:
            raise StoreError("the database is closed")
        cursor = connection.cursor()
        cursor.execute("BEGIN IMMEDIATE")
        try:
            work(cursor)
            cursor.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                cursor.execute("ROLLBACK")
            raise

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        lock, self._lock = self._lock, -1
        if lock >= 0:
            os.close(lock)


def _key_of(row: Sequence[Any]) -> Key:
    """Return what a row says; numbers that somebody wrote there by hand are brought into range. Raise StoreError."""
    key_id, name, pools, cents, period, rpm, tpm, enabled, created_at = row
    try:
        return Key(
            _text(key_id),
            _text(name),
            _names_in(_text(pools or "")),
            None if cents is None else min(max(0, int(cents)), _MOST_CENTS),
            _text(period or PERIODS[0]),
            _per_minute(rpm),
            _per_minute(tpm),
            {0: False, 1: True}[enabled],
            int(created_at or 0),
        )
    except (TypeError, ValueError, KeyError, RecursionError) as error:  # what it means is not for us to guess
        raise StoreError(f"the row of key {key_id!r} makes no sense") from error


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _names_in(pools: str) -> tuple[str, ...]:
    """Return the names of a list, in JSON or, as it was written once, between commas; no list names everything."""
    if pools.lstrip().startswith("["):
        names = tuple(_text(name) for name in json.loads(pools))
        is_sound = "" not in names
    else:
        names = tuple(part.strip() for part in pools.split(",") if part.strip())
        is_sound = bool(names) or not pools
    if not is_sound:
        raise ValueError("names that name nothing")
    return names


def _count(number: object, key_id: str) -> int:
    if not isinstance(number, int):
        raise StoreError(f"a counter of key {key_id!r} is no number")
    return min(max(0, number), MOST)


def _per_minute(limit: int | None) -> int | None:
    return None if limit is None else min(max(0, int(limit)), _MOST_PER_MINUTE)


def _columns_of(key: Key) -> tuple[str | int | None, ...]:
    pools = json.dumps(key.allowed_pools)
    return (
        key.id,
        key.name,
        pools,
        key.max_budget_cents,
        key.budget_period,
        key.rpm_limit,
        key.tpm_limit,
        int(key.enabled),
        key.created_at,
    )
