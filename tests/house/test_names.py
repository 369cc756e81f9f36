"""Names that say nothing are banned, and a dialect is named only where dialects live."""

import ast
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

import pytest

from tests.house.source import Module, docstrings, functions, modules, parameters, parse

BANNED = {"common", "ctx", "data", "do", "handler", "helper", "info", "manager", "misc", "process", "util", "utils"}

# Function and parameter of a signature that asyncio or a library imposes.
IMPOSED = {("data_received", "data"), ("write", "data")}

DIALECTS = {"anthropic", "bedrock", "cohere", "gemini", "openai"}

# Where dialects are the subject: their own package, the mock backend (ADR 0003) and the catalog of providers.
DIALECT_PACKAGES = ("busbar_fast/dialects/", "busbar_fast/mock/", "busbar_fast/catalog/")

# Texts shown to people that name a client library: path → the dialects it may name.
SHOWN_TEXTS = {"busbar_fast/demo.py": {"openai", "anthropic", "bedrock", "cohere"}, "busbar_fast/options.py": DIALECTS}


def names_in(module: Module) -> Iterator[tuple[int, str]]:
    """Yield line and name of everything that is given a name in this module, and of the module itself."""
    yield 1, PurePosixPath(module.path.removesuffix("/__init__.py")).stem
    for node in ast.walk(module.tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield node.lineno, name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.alias(asname=str(name)):
                yield node.lineno, name
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield getattr(node, "lineno", 1), name
    for function in functions(module):
        for parameter in parameters(function):
            if (function.name, parameter.arg) not in IMPOSED:
                yield parameter.lineno, parameter.arg


def empty_names(module: Module) -> list[str]:
    """Return a complaint for each banned name; case and underscores around it do not matter."""
    return [
        module.at(line, f"{name} says nothing; name what it is")
        for line, name in names_in(module)
        if name.strip("_").lower() in BANNED
    ]


def words(name: str) -> set[str]:
    """Return the words of an identifier in lower case, `CamelCase` and `snake_case` taken apart; OpenAI is one word."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name.replace("OpenAI", "Openai"))}


def dialects_in_name(name: str) -> set[str]:
    """Return the dialects that an identifier names."""
    return words(name) & DIALECTS


def dialects_in_text(text: str) -> set[str]:
    """Return the dialects that a string constant names, the Responses path among them."""
    spoken = {dialect for dialect in DIALECTS if re.search(rf"(?<![a-z]){dialect}(?![a-z])", text.lower())}
    return spoken | ({"responses"} if re.search(r"(^|/)responses$", text) else set())


def constants(module: Module) -> Iterator[tuple[int, str]]:
    """Yield line and text of each string or bytes constant that is no docstring."""
    documentation = {id(docstring.value) for docstring in docstrings(module)}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant) and id(node) not in documentation:
            if isinstance(node.value, str):
                yield node.lineno, node.value
            elif isinstance(node.value, bytes):
                yield node.lineno, node.value.decode("latin-1")


def named_dialects(module: Module) -> list[str]:
    """Return a complaint for each dialect named outside the places that may."""
    if module.path.startswith(DIALECT_PACKAGES):
        return []
    found = [(line, dialect) for line, name in names_in(module) for dialect in dialects_in_name(name)]
    found += [(line, dialect) for line, text in constants(module) for dialect in dialects_in_text(text)]
    shown = SHOWN_TEXTS.get(module.path, set())
    return [module.at(line, f"names the dialect {dialect}") for line, dialect in sorted(found) if dialect not in shown]


def test_every_name_says_something() -> None:
    """Nothing in the product or the measurements has a banned name."""
    assert [complaint for module in modules("busbar_fast", "perf") for complaint in empty_names(module)] == []


def test_dialects_are_named_at_home_only() -> None:
    """IR case 65: no identifier and no constant outside the dialects' places names one."""
    assert [complaint for module in modules("busbar_fast") for complaint in named_dialects(module)] == []


@pytest.mark.parametrize(
    "text",
    [
        "class Manager: ...",
        "def process(): ...",
        "async def do(): ...",
        "def run(ctx): ...",
        "def run(*, info=None): ...",
        "def run(**misc): ...",
        "DATA = 1",
        "self._handler = 1",
        "for util in (): ...",
        "with a as helper: ...",
        "import socket as utils",
        "try: ...\nexcept OSError as info: ...",
        "match a:\n    case [*common]: ...",
        "[data for data in a]",
        "def write_head(data): ...",
    ],
)
def test_a_banned_name_is_found(text: str) -> None:
    """A banned name is complained about wherever a name can be given."""
    assert len(set(empty_names(parse(text)))) == 1


def test_a_module_may_not_have_a_banned_name() -> None:
    """A module or a package with a banned name is complained about."""
    paths = ("busbar_fast/wire/utils.py", "busbar_fast/common/__init__.py")
    assert [len(empty_names(parse("", path))) for path in paths] == [1, 1]


def test_imposed_and_longer_names_pass() -> None:
    """A signature of asyncio keeps its parameter, and a banned word may be part of a name."""
    text = "class Peer:\n    def data_received(self, data): ...\n    def process_id(self): return self.data_bytes"
    assert empty_names(parse(text)) == []


@pytest.mark.parametrize(
    "text",
    [
        "class OpenAIError(Exception): ...",
        "class GeminiPart: ...",
        "anthropic_version = 1",
        "def run(bedrock): ...",
        "path = '/openai/v1'",
        "model = b'cohere.command'",
        "path = '/v1/responses'",
        "kind = 'responses'",
    ],
)
def test_a_named_dialect_is_found(text: str) -> None:
    """A dialect in an identifier, a text or bytes is complained about."""
    assert len(named_dialects(parse(text))) == 1


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("busbar_fast/dialects/openai_chat/faults.py", "class OpenAIError(Exception): ..."),
        ("busbar_fast/mock/replies/gemini.py", "gemini = 'gemini'"),
        ("busbar_fast/demo.py", "print('from openai import OpenAI')"),
        ("busbar_fast/wire/heads.py", '"""Anthropic sends this."""\nresponses = coherence = 1'),
    ],
)
def test_a_dialect_at_home_passes(path: str, text: str) -> None:
    """The dialects' places, listed texts, docstrings and words that only look alike are left alone."""
    assert named_dialects(parse(text, path)) == []
