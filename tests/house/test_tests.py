"""Tests say in a sentence what they claim, claim it, and never wait for a clock."""

import ast
from pathlib import PurePosixPath

import pytest

from tests.house.source import Function, Module, functions, modules, parse

CLAIMS = ("assert", "expect", "check")
RAISING = {"raises", "warns"}


def called(call: ast.Call) -> tuple[str, str]:
    """Return the object and the name of a call: `("time", "sleep")`, `("", "check")`."""
    match call.func:
        case ast.Attribute(value=ast.Name(id=owner), attr=name):
            return owner, name
        case ast.Attribute(attr=name):
            return "", name
        case ast.Name(id=name):
            return "", name
        case _:
            return "", ""


def calls(function: Function) -> list[ast.Call]:
    """Return every call in a function."""
    return [node for node in ast.walk(function) if isinstance(node, ast.Call)]


def is_one_sentence(text: str | None) -> bool:
    """Return whether a docstring is one sentence of one paragraph."""
    if not text:
        return False
    return text.endswith(".") and "\n\n" not in text and ". " not in " ".join(text.split())


def claims_something(function: Function) -> bool:
    """Return whether a test can fail by what it says, and not only by an accident."""
    if any(isinstance(node, ast.Assert) for node in ast.walk(function)):
        return True
    names = [called(call) for call in calls(function)]
    return any((owner == "pytest" and name in RAISING) or name.startswith(CLAIMS) for owner, name in names)


def sleeps(function: Function) -> bool:
    """Return whether a function waits for real time."""
    pairs = [called(call) for call in calls(function)]
    return any(name == "sleep" and owner in {"time", "asyncio", ""} for owner, name in pairs)


def complaints(module: Module) -> list[str]:
    """Return what the rules of this file say about a test module."""
    found = []
    for function in functions(module):
        if function.name.startswith("test_"):
            if not is_one_sentence(ast.get_docstring(function)):
                found.append(module.at(function.lineno, f"{function.name} needs a docstring of one sentence"))
            if not claims_something(function):
                found.append(module.at(function.lineno, f"{function.name} asserts nothing"))
        if sleeps(function) and not module.path.startswith("tests/system/"):
            found.append(module.at(function.lineno, f"{function.name} sleeps; time comes from a fake clock"))
    return found


def test_every_test_states_and_makes_its_claim() -> None:
    """Each test has its sentence and its assertion, and none outside tests/system sleeps."""
    files = [module for module in modules("tests") if PurePosixPath(module.path).name.startswith("test_")]
    assert [complaint for module in files for complaint in complaints(module)] == []


@pytest.mark.parametrize(
    "text",
    [
        "def test_a():\n    assert 1",
        'def test_a():\n    """No full stop"""\n    assert 1',
        'def test_a():\n    """One. And two."""\n    assert 1',
        'def test_a():\n    """One.\n\n    More.\n    """\n    assert 1',
        'def test_a():\n    """Runs."""\n    go()',
        'async def test_a():\n    """Runs."""\n    await go()',
        'def test_a():\n    """Waits."""\n    time.sleep(1)\n    assert 1',
        "async def settle():\n    await asyncio.sleep(0)",
        "from time import sleep\ndef settle():\n    sleep(1)",
    ],
)
def test_each_offence_is_found(text: str) -> None:
    """A sample of each offence is complained about once."""
    assert len(complaints(parse(text, "tests/wire/test_heads.py"))) == 1


@pytest.mark.parametrize(
    "text",
    [
        'def test_a():\n    """It holds, as RFC 9112 (6.1)\n    says."""\n    assert 1',
        'def test_a():\n    """It raises."""\n    with pytest.raises(ValueError):\n        go()',
        'def test_a():\n    """It holds."""\n    check_answer(go())',
        'def test_a():\n    """It holds."""\n    peer.expect(b"x")',
        "def settle(clock):\n    clock.sleep(1)",
    ],
)
def test_what_is_in_order_passes(text: str) -> None:
    """Each form of claim passes, and so does a clock of our own."""
    assert complaints(parse(text, "tests/wire/test_heads.py")) == []


def test_system_tests_may_sleep() -> None:
    """Real sockets need real time, so tests/system may wait."""
    text = 'def test_a():\n    """It waits."""\n    time.sleep(1)\n    assert 1'
    assert complaints(parse(text, "tests/system/test_demo.py")) == []
