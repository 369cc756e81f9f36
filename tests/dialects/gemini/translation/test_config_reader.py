"""`generationConfig`, read."""

from typing import Any

import pytest
from msgspec import Raw

from busbar_fast.dialects.gemini.translation.config_reader import Config
from busbar_fast.dialects.gemini.translation.fields import fields_of
from busbar_fast.errors import Misshapen
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import OutputFormat, Reasoning, ReasoningMode, Sampling
from tests.dialects.gemini.translation.turns import lost, raw

LIST: Any = {"enum": ["a"]}
SCHEMA = Raw(b'{"type": "object"}')


def config(report: Report | None = None, **members: Any) -> Config:
    """Return what is understood."""
    return Config(fields_of(raw(members)), report or Report())


def test_numbers_are_read_in_all_their_spellings() -> None:
    """Floats and texts are whole numbers too (gemini.md case 23, ir.md case 3)."""
    fields = fields_of(
        Raw(
            b'{"maxOutputTokens":"100","temperature":0.70,"top_p":1e-1,"topK":40.0,"seed":"7","candidateCount":2,'
            b'"frequencyPenalty":-0.5,"presencePenalty":1,"stopSequences":["a","",1],"responseLogprobs":true,'
            b'"logprobs":3}'
        )
    )
    assert Config(fields, Report()).sampling == Sampling(
        max_tokens=Raw(b"100"),
        temperature=Raw(b"0.70"),
        top_p=Raw(b"1e-1"),
        top_k=Raw(b"40"),
        seed=Raw(b"7"),
        n=Raw(b"2"),
        frequency_penalty=Raw(b"-0.5"),
        presence_penalty=Raw(b"1"),
        stop=["a"],
        has_logprobs=True,
        top_logprobs=Raw(b"3"),
    )


@pytest.mark.parametrize("tokens", [0, -1, 2**32])
def test_limits_that_are_none_are_noted(tokens: int) -> None:
    """They are left out (gemini.md section 9)."""
    report = Report()
    assert config(report, maxOutputTokens=tokens).sampling == Sampling()
    assert lost(report) == [("dropped", "max_tokens")]


def test_numbers_that_are_not_whole_are_noted() -> None:
    """Nobody could take them."""
    report = Report()
    assert config(report, topK=1.5, seed="x").sampling == Sampling()
    assert lost(report) == [("dropped", "top_k"), ("dropped", "seed")]


@pytest.mark.parametrize(
    ("members", "sampling"),
    [
        ({"logprobs": 0}, Sampling(has_logprobs=True)),
        ({"logprobs": 2}, Sampling(has_logprobs=True, top_logprobs=Raw(b"2"))),
        ({"responseLogprobs": False}, Sampling(has_logprobs=False)),
    ],
)
def test_a_count_forces_the_flag(members: dict[str, Any], sampling: Sampling) -> None:
    """Also if it is zero, which is no count (gemini.md case 62)."""
    assert config(**members).sampling == sampling


@pytest.mark.parametrize(
    ("members", "wanted"),
    [
        ({}, None),
        ({"responseMimeType": "text/plain"}, None),
        ({"responseMimeType": "application/json"}, OutputFormat(mime="application/json")),
        ({"responseJsonSchema": {"type": "object"}}, OutputFormat(SCHEMA)),
        ({"_responseJsonSchema": {"type": "object"}}, OutputFormat(SCHEMA)),
        (
            {"response_mime_type": "application/json", "response_schema": {"type": "object"}},
            OutputFormat(SCHEMA, is_openapi=True, mime="application/json"),
        ),
        ({"responseSchema": {}, "responseJsonSchema": {"type": "object"}}, OutputFormat(SCHEMA)),
    ],
)
def test_forms_are_read(members: dict[str, Any], wanted: OutputFormat | None) -> None:
    """A schema alone means JSON (gemini.md section 9)."""
    found = config(**members)
    assert (found.format, found.ext) == (wanted, None)


@pytest.mark.parametrize("name", ["responseSchema", "responseJsonSchema"])
def test_other_forms_are_carried(name: str) -> None:
    """Nobody else has a word for one of a list of texts."""
    found = config(responseMimeType="text/x.enum", **{name: LIST})
    assert found.format is None
    assert found.ext == {
        "generationConfig.responseMimeType": Raw(b'"text/x.enum"'),
        f"generationConfig.{name}": Raw(b'{"enum": ["a"]}'),
    }


def test_the_rest_is_carried() -> None:
    """What is said of thinking too, at its own place."""
    found = config(thinkingConfig={"thinkingBudget": 0, "soon": 1}, speechConfig={})
    assert found.reasoning == Reasoning(ReasoningMode.OFF)
    assert found.ext == {"thinkingConfig.soon": Raw(b"1"), "generationConfig.speechConfig": Raw(b"{}")}


def test_a_form_has_to_be_a_text() -> None:
    """The place is told."""
    with pytest.raises(Misshapen):
        config(responseMimeType=1)
