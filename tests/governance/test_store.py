"""Keys and counters in SQLite."""

import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from busbar_fast.governance.keys import Held, Key, Pair
from busbar_fast.governance.ledger import MOST, Delta
from busbar_fast.governance.sealing import BadSeal, Sealer
from busbar_fast.governance.store import MEMORY, Store, Stored, StoreError

AT_S = 1709251199
FULL = Key("vk_1", "n\u00fc", ("a,b", "c"), 5, "daily", 7, 2**32 - 1, enabled=False, created_at=9)
HELD = Held(FULL, "digest", Pair("AKIA1", b"hush"))
# As the tables were before anything was added to them.
OLD = """
CREATE TABLE virtual_keys (id TEXT PRIMARY KEY, key_hash TEXT UNIQUE, name TEXT, allowed_pools TEXT,
  max_budget_cents INTEGER, budget_period TEXT, rpm_limit INTEGER, tpm_limit INTEGER, enabled INTEGER,
  created_at INTEGER);
CREATE TABLE aws_credentials (access_key_id TEXT PRIMARY KEY, key_id TEXT, secret_access_key TEXT);
CREATE TABLE usage_counters (key_id TEXT, window_start INTEGER, spend_cents INTEGER, tokens INTEGER, requests INTEGER,
  PRIMARY KEY (key_id, window_start));
INSERT INTO virtual_keys VALUES ('vk_1', 'd1', 'n', 'a, b,', 5, 'daily', 7, 9999999999, 1, 3);
INSERT INTO virtual_keys VALUES ('vk_2', 'd2', 'm', '', NULL, 'weekly', NULL, -4, 1, 4);
INSERT INTO usage_counters VALUES ('vk_1', 1709164800, 4, 70, -2);
INSERT INTO usage_counters VALUES ('vk_1', 1709078400, 3, 1, 1);
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the database is."""
    return tmp_path / "keys.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    """Return a store that is open."""
    made = Store(str(path))
    made.open(100, AT_S)
    yield made
    made.close()


def reopened(store: Store, path: Path) -> Stored:
    """Return what a store holds that is opened again."""
    store.close()
    again = Store(str(path))
    try:
        return again.open(100, AT_S)
    finally:
        again.close()


def test_a_key_comes_back_as_it_was(store: Store, path: Path) -> None:
    """Governance §9 and case 59: with its credential, and names that hold commas."""
    store.insert(HELD).result()
    assert reopened(store, path) == Stored([HELD], [], [])


def test_changes_come_back(store: Store, path: Path) -> None:
    """Governance §10: everything but the id and the secret."""
    store.insert(HELD).result()
    other = FULL._replace(name="m", allowed_pools=(), max_budget_cents=None, rpm_limit=None, enabled=True)
    store.update(other).result()
    assert reopened(store, path).held == [Held(other, "digest", HELD.pair)]


def test_a_key_takes_everything_along(store: Store, path: Path) -> None:
    """Governance §9: key, credential and counters go together, and nothing is counted of what is gone."""
    store.insert(HELD).result()
    store.add([Delta("vk_1", 1709164800, 1, 1, 1)]).result()
    store.delete("vk_1").result()
    store.add([Delta("vk_1", 1709164800, 1, 1, 1)]).result()
    assert reopened(store, path) == Stored([], [], [])
    with sqlite3.connect(path) as raw:
        assert raw.execute("SELECT count(*) FROM usage_counters").fetchone() == (0,)
        assert raw.execute("SELECT count(*) FROM aws_credentials").fetchone() == (0,)


def test_amounts_add_up(store: Store, path: Path) -> None:
    """Governance case 31: millicents to the last one, and no counter falls below nothing."""
    store.insert(HELD).result()
    store.add([Delta("vk_1", 1709164800, 1500, 10, 1), Delta("vk_1", 0, 999, 1, 1)]).result()
    store.add([Delta("vk_1", 1709164800, 1600, 5, 1)]).result()
    store.add([Delta("vk_1", 1709164800, -100, 0, -1)]).result()
    store.add([Delta("vk_1", 0, -5000, -5, -5)]).result()
    assert reopened(store, path).live == [Delta("vk_1", 1709164800, 3000, 15, 1)]
    with sqlite3.connect(path) as raw:
        rows = raw.execute(
            "SELECT spend_cents, spend_millicents, tokens, requests FROM usage_counters ORDER BY window_start"
        )
        assert rows.fetchall() == [(0, 0, 0, 0), (3, 0, 15, 1)]


def test_counters_stop_at_their_end(store: Store, path: Path) -> None:
    """Governance §6: saturating; no mistake of an upstream stops the counting, or the next start."""
    store.insert(HELD).result()
    for _ in range(3):
        store.add([Delta("vk_1", 1709164800, MOST, MOST, MOST)]).result()
    assert reopened(store, path).live == [Delta("vk_1", 1709164800, MOST, MOST, MOST)]
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE usage_counters SET spend_cents = ?, tokens = ?", (2**63 - 1, 2**63 - 1))
    raw.close()
    again = Store(str(path))
    again.open(100, AT_S)
    again.add([Delta("vk_1", 1709164800, MOST, 1, 1)]).result()
    assert reopened(again, path).live == [Delta("vk_1", 1709164800, MOST, MOST, MOST)]


def test_an_id_is_never_written_over(store: Store, path: Path) -> None:
    """Governance case 19: neither the id nor the digest of another key; what fails leaves nothing behind."""
    store.insert(HELD).result()
    for held in (
        Held(Key("vk_1", "x"), "other"),
        Held(Key("vk_2", "x"), "digest"),
        Held(Key("vk_3", "x"), "third", HELD.pair),
    ):
        with pytest.raises(StoreError, match="UNIQUE"):
            store.insert(held).result()
    assert reopened(store, path).held == [HELD]


def test_the_file_is_ours_alone(store: Store, path: Path) -> None:
    """Governance case 18: nobody else reads it, whoever made it, and a second gateway is told why it cannot start."""
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(StoreError, match="another gateway"):
        Store(str(path)).open(100, AT_S)
    store.close()
    store.close()
    path.chmod(0o644)
    again = Store(str(path))
    again.open(100, AT_S)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again.close()


def test_an_older_database_opens(path: Path) -> None:
    """Governance case 59: names between commas, odd values brought into range, the added column there afterwards."""
    with sqlite3.connect(path) as raw:
        raw.executescript(OLD)
    raw.close()
    store = Store(str(path))
    stored = store.open(100, AT_S)
    one = Key("vk_1", "n", ("a", "b"), 5, "daily", 7, 2**32 - 1, enabled=True, created_at=3)
    two = Key("vk_2", "m", (), None, "weekly", None, 0, enabled=True, created_at=4)
    assert stored == Stored([Held(one, "d1"), Held(two, "d2")], [Delta("vk_1", 1709164800, 4000, 70, 0)], ["vk_2"])
    store.add([Delta("vk_1", 1709164800, 500, 1, 1)]).result()
    assert reopened(store, path).live == [Delta("vk_1", 1709164800, 4500, 71, 1)]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE virtual_keys SET allowed_pools = '[\"a'",
        "UPDATE virtual_keys SET allowed_pools = x'ff'",
        "UPDATE virtual_keys SET rpm_limit = 'many'",
        "UPDATE virtual_keys SET allowed_pools = '[0]'",
        "UPDATE virtual_keys SET allowed_pools = '[\"\"]'",
        "UPDATE virtual_keys SET allowed_pools = ','",
        "UPDATE virtual_keys SET allowed_pools = ' '",
        "UPDATE virtual_keys SET allowed_pools = printf('%.*c', 100000, '[')",
        "UPDATE virtual_keys SET enabled = 'false'",
        "UPDATE virtual_keys SET budget_period = x'00'",
        "UPDATE virtual_keys SET name = NULL",
        "UPDATE usage_counters SET tokens = 'many'",
    ],
)
def test_rows_that_make_no_sense_stop_the_start(path: Path, change: str) -> None:
    """Governance case 57: a limit that cannot be read must not become none; which key it is about is said."""
    with sqlite3.connect(path) as raw:
        raw.executescript(OLD)
        raw.execute(change)
    raw.close()
    with pytest.raises(StoreError, match="'vk_1'"):
        Store(str(path)).open(100, AT_S)


def test_what_is_missing_in_a_row_has_its_default(path: Path) -> None:
    """Governance §9: NULL is as good as nothing."""
    with sqlite3.connect(path) as raw:
        raw.executescript(OLD)
        raw.execute("UPDATE virtual_keys SET allowed_pools = NULL, budget_period = NULL, created_at = NULL")
    raw.close()
    store = Store(str(path))
    stored = store.open(100, AT_S)
    store.close()
    assert [(one.key.allowed_pools, one.key.budget_period, one.key.created_at) for one in stored.held] == [
        ((), "total", 0)
    ] * 2


def test_aws_secrets_are_sealed(path: Path) -> None:
    """Governance §2: new ones and those that were there; without the key the start fails, and the lock is let go."""
    plain, sealing = Store(str(path)), Sealer(bytes(32))
    plain.open(100, AT_S)
    plain.insert(HELD).result()
    plain.close()
    for _ in range(2):
        store = Store(str(path), sealing)
        assert store.open(100, AT_S).held == [HELD]
        store.close()
    store = Store(str(path), sealing)
    store.open(100, AT_S)
    other = Held(Key("vk_2", "x"), "d2", Pair("AKIA2", b"hush-too"))
    store.insert(other).result()
    store.close()
    assert b"hush" not in path.read_bytes()
    with pytest.raises(BadSeal):
        Store(str(path)).open(100, AT_S)
    store = Store(str(path), sealing)
    assert sorted(one.key.id for one in store.open(100, AT_S).held) == ["vk_1", "vk_2"]
    store.close()


def test_a_newer_database_is_left_alone(path: Path) -> None:
    """Governance §9: a version that nobody knows here refuses to start."""
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA user_version=2")
    raw.close()
    with pytest.raises(StoreError, match="version 2"):
        Store(str(path)).open(100, AT_S)
    Store(str(path)).close()


def test_what_is_no_database_stops_the_start(path: Path) -> None:
    """Governance case 57: counters that cannot be read must not begin at nothing."""
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreError, match="not a database"):
        Store(str(path)).open(100, AT_S)
    with pytest.raises(StoreError):
        Store(str(path / "below")).open(100, AT_S)


def test_a_closed_store_stores_nothing(store: Store) -> None:
    """Whoever comes too late hears of it."""
    store._submit(store._close).result()
    with pytest.raises(StoreError, match="closed"):
        store.insert(HELD).result()


def test_a_database_in_memory(tmp_path: Path) -> None:
    """Governance §9: for trying things; it leaves no file."""
    store = Store(MEMORY)
    assert store.open(0, AT_S) == Stored([], [], [])
    store.insert(HELD).result()
    store.close()
    assert list(tmp_path.iterdir()) == []


def test_a_number_beyond_the_database_is_an_error(store: Store) -> None:
    """What SQLite cannot hold fails as a whole and loudly."""
    with pytest.raises(StoreError, match="OverflowError"):
        store.insert(Held(Key("vk_9", "x", max_budget_cents=2**63), "d9")).result()


def test_network_file_systems_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Governance §8 "exclusivity": a lock there would hold off nobody; nothing is made before that is known."""
    monkeypatch.setattr("busbar_fast.governance.store._maybe_network_type", lambda _path: "nfs4")
    path = tmp_path / "keys.db"
    with pytest.raises(StoreError, match="network file system"):
        Store(str(path)).open(5000, 0)
    assert not path.exists()
