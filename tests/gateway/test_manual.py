"""The manual of reliability says what is so: defaults, fields and words are those of the code, its example loads."""

import re
from pathlib import Path
from typing import get_args

import pytest

from busbar_fast.config.load import load
from busbar_fast.config.schema import Health, Limits, Policy
from busbar_fast.config.schema import Pool as PoolRecord
from busbar_fast.reliability.dispositions import ErrorClass
from busbar_fast.reliability.report import Availability, LaneReport
from tests.config.cases import VOCABULARY
from tests.house.source import ROOT

MANUAL = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.yaml"))
KEYS = {"BUSBAR_ADMIN_TOKEN": "an-operators-token", "MISTRAL_API_KEY": "k", "GROQ_API_KEY": "k"}
DEFAULTS = re.findall(r"^\| `([a-z_.]+[a-z])` \| ([^| `]+) \|", MANUAL, re.MULTILINE)
POOL = PoolRecord(members=(), policy=Policy(timeout_ms=1))
LIMITS = Limits(reasoning_effort_budgets={})


def section(title: str) -> str:
    """Return a section of the manual."""
    return MANUAL.partition(f"\n## {title}\n")[2].split("\n## ", 1)[0]


def default_of(name: str) -> object:
    """Return the default that the code has for a setting of the manual."""
    value: object = POOL if name.startswith(("breaker", "failover")) else LIMITS
    if name.startswith("health"):
        value, name = Health(), name.removeprefix("health.")
    for part in name.split("."):
        value = getattr(value, part)
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize(("name", "shown"), DEFAULTS)
def test_default_is_the_one_that_is_shown(name: str, shown: str) -> None:
    """Reliability §13: every default in the manual is the default of the setting."""
    assert str(default_of(name)) == shown


def test_every_setting_is_shown() -> None:
    """Reliability §13: breakers, failover and probes have no setting that the manual leaves out."""
    shown = {name for name, _ in DEFAULTS}
    wanted = {f"breaker.{name}" for name in POOL.breaker.__annotations__ if name != "trip"}
    wanted |= {f"breaker.trip.{name}" for name in POOL.breaker.trip.__annotations__}
    wanted |= {f"failover.{name}" for name in POOL.failover.__annotations__}
    wanted |= {f"health.{name}" for name in Health().__annotations__}
    assert shown == wanted | {"hard_down_cooldown_secs", "max_honored_retry_after_secs"}


def test_every_field_and_word_of_stats_is_shown() -> None:
    """Reliability §12: the table has the fields of a lane in their order, and every word for availability."""
    table = section("`/stats`")
    first_columns = re.findall(r"^\| (`[^|]+`) \|", table, re.MULTILINE)
    assert [name for column in first_columns for name in re.findall(r"`(\w+)`", column)] == list(
        LaneReport.__annotations__
    )
    row = next(line for line in table.splitlines() if line.startswith("| `availability`"))
    assert set(re.findall(r"`(\w+)`", row)) - {"availability"} == set(get_args(Availability))


def test_every_class_of_failures_is_shown() -> None:
    """Reliability §4: the words that `error_map` takes are all in the table of faults."""
    words = set(re.findall(r"`([a-z_]+)`", section("Whose fault a failure is")))
    assert words >= {error_class.word for error_class in ErrorClass}


@pytest.mark.parametrize("file", EXAMPLES, ids=[file.name for file in EXAMPLES])
def test_examples_load(file: Path) -> None:
    """Config, first lines: each example of the manuals loads without an error, and with nothing that is put off."""
    loaded = load(str(file), None, KEYS, VOCABULARY)
    assert loaded.config is not None
    assert [*loaded.complaints.errors, *loaded.complaints.unavailable] == []


def test_resilient_example_says_what_it_means() -> None:
    """Reliability §10 and §13: the settings of the example arrive where the manual says they do."""
    config = load(str(ROOT / "docs" / "examples" / "resilient.yaml"), None, KEYS, VOCABULARY).config
    assert config is not None
    healths = {name: (one.health.mode, one.health.interval_secs) for name, one in config.providers.items()}
    assert healths == {"mistral": ("dead", 20), "groq": ("dead", 30), "workshop": ("none", 30)}
    answer, spare = config.pools["answer"], config.pools["spare"]
    assert (answer.breaker.trip.mode, answer.breaker.max_cooldown_secs) == ("consecutive", 60)
    assert (answer.failover.timeout_secs, answer.failover.max_hops) == (30, 1)
    assert (answer.on_exhausted.action, answer.on_exhausted.pool) == ("fallback_pool", "spare")
    assert (spare.on_exhausted.action, spare.on_exhausted.max_ms) == ("queue", 5000)
    assert config.providers["groq"].error_map["insufficient_quota"] == "billing"
