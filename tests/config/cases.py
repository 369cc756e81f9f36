"""What the tests of the loader share: a small valid deployment to spoil, a row of a table, and how a row is read."""

import gc
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from busbar_fast.config.complaints import Complaint, Complaints, Mark, dotted, shown
from busbar_fast.config.complaints import Path as Where
from busbar_fast.config.inputs import Inputs
from busbar_fast.config.load import Loaded, load
from busbar_fast.config.reading import Section
from busbar_fast.config.record import pack
from busbar_fast.config.schema import Config
from busbar_fast.config.tree import Entries, Node, read_tree
from busbar_fast.config.variables import Variables
from busbar_fast.config.vocabulary import Vocabulary
from busbar_fast.dialects.registry import DIALECTS, MODEL_OPTIONS, SPECIAL_OPTIONS
from busbar_fast.ir.report import FIELDS
from busbar_fast.reliability.policies.script import complaint_of_script

VOCABULARY = Vocabulary(DIALECTS, MODEL_OPTIONS, complaint_of_script, FIELDS, SPECIAL_OPTIONS)
MOST_SECONDS = 1.0 if sys.gettrace() is None else 20.0  # a tool that measures coverage slows everything down

PROVIDERS = "providers: {p: {api_key: none, protocol: openai, base_url: 'https://up.example'}}\n"
MODELS = "models: {m: {provider: p}}\n"
BASE = PROVIDERS + MODELS

Errors = Mapping[str, str | None]


@dataclass(frozen=True)
class Row:
    """A configuration with the path of everything wrong in it, each with the value that is shown, None if none is."""

    name: str
    text: str | bytes
    errors: Errors
    environment: Mapping[str, str] = field(default_factory=dict)
    catalog: str = ""
    secrets: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name


def provider(fields: str) -> str:
    """Return a deployment whose one provider has these fields besides what it needs."""
    return f"providers: {{p: {{api_key: none, protocol: openai, base_url: 'https://up.example', {fields}}}}}\n{MODELS}"


def model(fields: str) -> str:
    """Return a deployment whose one model has these fields besides its provider."""
    return f"{PROVIDERS}models: {{m: {{provider: p, {fields}}}}}\n"


def pool(fields: str) -> str:
    """Return a deployment whose one pool has these fields besides its one member."""
    return f"{BASE}pools: {{a: {{members: [{{target: m}}], {fields}}}}}\n"


def member(fields: str) -> str:
    """Return a deployment whose one pool has one member with these fields besides its target."""
    return f"{BASE}pools: {{a: {{members: [{{target: m, {fields}}}]}}}}\n"


def read(
    folder: Path, text: str | bytes, environment: Mapping[str, str] | None = None, catalog: str | None = None
) -> Loaded:
    """Return what the loader makes of a deployment, with this catalog beside it or the packaged one."""
    file = folder / "config.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    if catalog:
        (folder / "providers.yaml").write_text(catalog, encoding="utf-8")
    return load(str(file), None, environment or {}, VOCABULARY)


def accepted(
    folder: Path, text: str | bytes, environment: Mapping[str, str] | None = None, catalog: str | None = None
) -> Config:
    """Return the configuration of a deployment that nothing is wrong with."""
    loaded = read(folder, text, environment, catalog)
    assert [str(complaint) for complaint in loaded.complaints.errors] == []
    assert loaded.config is not None
    return loaded.config


def everything(loaded: Loaded) -> list[Complaint]:
    """Return every complaint of any kind."""
    complaints = loaded.complaints
    return [*complaints.errors, *complaints.warnings, *complaints.unavailable]


def errors_of(loaded: Loaded) -> dict[str, str | None]:
    """Return the errors as a row lists them."""
    return {
        dotted(complaint.path): None if complaint.got is None else shown(complaint.got)
        for complaint in loaded.complaints.errors
    }


def warnings_of(loaded: Loaded) -> list[tuple[str, str]]:
    """Return each warning's number and path."""
    return [(complaint.id, dotted(complaint.path)) for complaint in loaded.complaints.warnings]


def check_secrets(loaded: Loaded, secrets: tuple[str, ...]) -> None:
    """Demand that no secret is shown in a complaint or kept in a configuration."""
    texts = [str(complaint) for complaint in everything(loaded)]
    kept = "" if loaded.config is None else repr(pack(loaded.config))
    for secret in secrets:
        assert [text for text in texts if secret in text] == []
        assert secret not in kept


@contextmanager
def soon() -> Iterator[None]:
    """Demand that what is done inside takes little processor time, collecting the garbage of other tests left out."""
    gc.disable()
    began_s = time.process_time()
    try:
        yield
    finally:
        gc.enable()
    assert time.process_time() - began_s < MOST_SECONDS


def check_row(row: Row, folder: Path) -> None:
    """Demand that a row gives exactly its errors, soon and with every secret kept."""
    with soon():
        loaded = read(folder, row.text, row.environment, row.catalog)
    assert errors_of(loaded) == dict(row.errors)
    assert len(loaded.complaints.errors) == len(row.errors)
    assert loaded.config is None
    check_secrets(loaded, row.secrets)


def tree_of(text: str, complaints: Complaints, inputs: Inputs | None = None) -> Node | None:
    """Return the tree of a text, its variables filled in."""
    variables = Variables((inputs or Inputs({})).variable)

    def fill(scalar: str, mark: Mark, where: Where) -> tuple[str | None, str]:
        return variables.fill(scalar, complaints, mark, where)

    return read_tree(variables.make_inert(text), "f.yaml", complaints, fill)


def section_of(text: str, inputs: Inputs | None = None) -> Section:
    """Return the root section of a text that is a map."""
    complaints = Complaints()
    root = tree_of(text, complaints, inputs)
    assert isinstance(root, Entries)
    return Section(root, (), complaints)


def paths_of(complaints: list[Complaint]) -> list[str]:
    """Return where complaints are, in order."""
    return [dotted(complaint.path) for complaint in complaints]
