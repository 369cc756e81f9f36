"""Where deployment and catalog are looked for."""

from pathlib import Path

import pytest

from busbar_fast.config import files
from busbar_fast.config.inputs import Inputs


@pytest.mark.parametrize(
    ("named", "environment", "path"),
    [
        ("f", {"BUSBAR_CONFIG": "v"}, "f"),
        (None, {"BUSBAR_CONFIG": "v"}, "v"),
        (None, {"BUSBAR_CONFIG": ""}, files.CONFIG),
        (None, {}, files.CONFIG),
    ],
)
def test_the_deployment_file_is_named_or_usual(named: str | None, environment: dict[str, str], path: str) -> None:
    """Config §2: the flag, then the variable, then the usual place; an empty variable is none."""
    assert files.find_config(named, environment) == path


@pytest.mark.parametrize(
    ("named", "environment", "path"),
    [
        ("f", {"BUSBAR_PROVIDERS": "v"}, "f"),
        (None, {"BUSBAR_PROVIDERS": "v"}, "v"),
        (None, {"BUSBAR_PROVIDERS": ""}, None),
    ],
)
def test_the_catalog_may_be_named(named: str | None, environment: dict[str, str], path: str | None) -> None:
    """Config §2: the flag, then the variable, else nobody names it."""
    assert files.find_catalog(named, environment) == path


def test_the_neighbour_comes_before_the_usual_place_and_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Config §2 and X3: beside the deployment file, then the usual place, then the package."""
    config, usual, near = tmp_path / "a" / "c.yaml", tmp_path / "usual.yaml", tmp_path / "a" / "providers.yaml"
    monkeypatch.setattr(files, "CATALOG", str(usual))
    found = [files.neighbour_catalog(str(config), Inputs({}))]
    usual.write_text("", encoding="utf-8")
    found.append(files.neighbour_catalog(str(config), Inputs({})))
    near.parent.mkdir()
    near.write_text("", encoding="utf-8")
    found.append(files.neighbour_catalog(str(config), Inputs({})))
    assert found == [files.PACKAGED, str(usual), str(near)]


def test_a_catalog_that_cannot_be_read_is_not_passed_over(tmp_path: Path) -> None:
    """Config §2: a catalog that is there and unreadable is an error for whoever reads it."""
    near = tmp_path / "providers.yaml"
    near.mkdir()
    assert files.neighbour_catalog(str(tmp_path / "c.yaml"), Inputs({})) == str(near)


def test_the_packaged_catalog_is_there() -> None:
    """Config §14, X3: the package holds a catalog."""
    assert Path(files.PACKAGED).is_file()
