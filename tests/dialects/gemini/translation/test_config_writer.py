"""`generationConfig`, written."""

from typing import Any

import pytest
from msgspec import Raw

from busbar_fast.dialects.gemini.translation.config_writer import generation_config, speaks_openapi
from busbar_fast.dialects.members import write
from busbar_fast.dialects.translator import Recipient
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import OutputFormat, Reasoning, ReasoningMode, Sampling
from tests.dialects.gemini.translation.turns import LANE, foreign, lost

OLDER = Recipient("flash-x", options={"schema_dialect": "openapi"})
SCHEMA = Raw(b'{"type": "object", "const": 1}')


def config(lane: Recipient = LANE, report: Report | None = None, **members: Any) -> bytes:
    """Return what a lane gets."""
    return write(generation_config(foreign(**members), lane, report or Report()))


def test_numbers_keep_their_digits() -> None:
    """Each has its name, and what was not said is not written (ir.md case 3)."""
    sampling = Sampling(
        max_tokens=Raw(b"100"),
        temperature=Raw(b"0.70"),
        top_p=Raw(b"1e-1"),
        top_k=Raw(b"40"),
        seed=Raw(b"7"),
        n=Raw(b"2"),
        frequency_penalty=Raw(b"-0.5"),
        presence_penalty=Raw(b"1.0"),
        stop=["a"],
        has_logprobs=False,
    )
    assert config(sampling=sampling) == (
        b'{"maxOutputTokens":100,"temperature":0.70,"topP":1e-1,"topK":40,"seed":7,"candidateCount":2,'
        b'"frequencyPenalty":-0.5,"presencePenalty":1.0,"stopSequences":["a"],"responseLogprobs":false}'
    )
    assert config() == b"{}"


@pytest.mark.parametrize(
    ("count", "written"),
    [(b"0", b'{"responseLogprobs":true}'), (b"3", b'{"responseLogprobs":true,"logprobs":3}')],
)
def test_a_count_forces_the_flag(count: bytes, written: bytes) -> None:
    """None is left out (gemini.md case 62)."""
    assert config(sampling=Sampling(has_logprobs=True, top_logprobs=Raw(count))) == written


def test_a_seed_without_room_is_noted() -> None:
    """It is never cut to size."""
    report = Report()
    assert config(report=report, sampling=Sampling(seed=Raw(b"2147483648"))) == b"{}"
    assert lost(report) == [("dropped", "seed")]


@pytest.mark.parametrize(
    ("wanted", "lane", "written"),
    [
        (OutputFormat(), LANE, b'{"responseMimeType":"application/json"}'),
        (OutputFormat(SCHEMA), LANE, b'{"responseMimeType":"application/json","responseJsonSchema":%b}' % SCHEMA),
        (OutputFormat(SCHEMA), OLDER, b'{"responseMimeType":"application/json","responseSchema":{"type":"object"}}'),
        (
            OutputFormat(SCHEMA, is_openapi=True),
            LANE,
            b'{"responseMimeType":"application/json","responseSchema":%b}' % SCHEMA,
        ),
    ],
)
def test_schemas_keep_their_bytes(wanted: OutputFormat, lane: Recipient, written: bytes) -> None:
    """Unless a lane knows only the older kind (ir.md case 33)."""
    assert config(lane, format=wanted) == written
    assert speaks_openapi(lane) is (lane is OLDER)


def test_thinking_and_what_is_carried_stand_inside() -> None:
    """The rest comes last."""
    ext = {"generationConfig.soon": Raw(b"1"), "top": Raw(b"2")}
    assert (
        config(reasoning=Reasoning(ReasoningMode.OFF), ext=ext) == b'{"thinkingConfig":{"thinkingBudget":0},"soon":1}'
    )
