"""The catalog in the package against the list of facts it was made from."""

import csv
from pathlib import Path

import pytest

from busbar_fast.config.files import PACKAGED
from busbar_fast.config.guards import Exemptions
from busbar_fast.config.guards.verdicts import judge_base_url, judge_joined_url
from busbar_fast.config.schema import Provider
from tests.config.cases import accepted, read
from tests.house.source import ROOT

Facts = tuple[str, str, str, dict[str, str]]


def listed() -> dict[str, Facts]:
    """Return the facts of each provider in the list."""
    with (ROOT / "tests" / "corpus" / "catalog.csv").open(encoding="utf-8", newline="") as file:
        return {
            row["name"]: (row["protocol"], row["base_url"], row["path"], codes(row["error_map"]))
            for row in csv.DictReader(file)
        }


def codes(text: str) -> dict[str, str]:
    """Return an error map of the list: `1113=billing;1302=rate_limit`."""
    return dict(pair.split("=") for pair in text.split(";") if pair)


LISTED = listed()


@pytest.fixture
def packaged(tmp_path: Path) -> dict[str, Provider]:
    """Return every provider of the packaged catalog as a deployment gets it."""
    names = "".join(f"  {name}: {{api_key: none}}\n" for name in LISTED)
    return dict(accepted(tmp_path, f"providers:\n{names}models: {{}}\n").providers)


def test_the_catalog_has_the_facts_of_the_list(packaged: dict[str, Provider]) -> None:
    """Config §14, X3: every live row is in the package, each field as listed."""
    found = {name: (p.protocol, p.base_url, p.path, dict(p.error_map)) for name, p in packaged.items()}
    assert found == LISTED


def test_the_catalog_has_no_more_than_the_list() -> None:
    """Config §14, X3: nothing else is in the package, and templates that nobody filled in least of all."""
    text = Path(PACKAGED).read_text(encoding="utf-8")
    names = [line.removesuffix(":") for line in text.splitlines() if line[:1].strip("# ") and line.endswith(":")]
    assert names == list(LISTED)
    assert not {"azure", "azure-entra", "gemini-vertex", "claude-vertex"} & set(names)


def test_no_entry_sets_what_it_need_not(packaged: dict[str, Provider]) -> None:
    """Config §5: the packaged entries leave authentication and exceptions to the protocol and the operator."""
    assert [name for name, p in packaged.items() if p.auth or p.path_base or p.allow_metadata_hosts] == []


@pytest.mark.parametrize("name", LISTED)
def test_every_entry_passes_guard_a(name: str, packaged: dict[str, Provider]) -> None:
    """Config §10: an entry needs no exception, with its path behind it neither."""
    found = packaged[name]
    verdicts = judge_base_url(found.base_url, Exemptions()), judge_joined_url(found.base_url + found.path, Exemptions())
    assert [(verdict.reason, verdict.used) for verdict in verdicts] == [("", ()), ("", ())]


def test_the_catalog_raises_no_complaint(tmp_path: Path) -> None:
    """Config §5: reading the packaged catalog is silent."""
    complaints = read(tmp_path, "providers: {}\nmodels: {}\n").complaints
    assert (complaints.errors, {warning.id for warning in complaints.warnings}) == ([], {"W1", "W14"})
