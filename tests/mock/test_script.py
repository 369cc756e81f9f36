"""The knobs of the mock backend: reading, bounds and contradictions."""

from dataclasses import FrozenInstanceError

import pytest

from busbar_fast.mock.script import BadKnob, Script, Stop, parse_knobs


def test_header_empty_gives_the_base() -> None:
    """No knob changes nothing, be the header absent, blank or only semicolons."""
    base = Script(text="hi")
    for header in (b"", b"  ", b" ; ;"):
        assert parse_knobs(header, base) == base


def test_header_without_base_gives_the_defaults() -> None:
    """The defaults are those of the record."""
    assert parse_knobs(b"") == Script()


def test_header_knobs_are_laid_over_the_base() -> None:
    """What the header names wins, what it does not name stays."""
    assert parse_knobs(b"text=new", Script(text="old", split=3)) == Script(text="new", split=3)


@pytest.mark.parametrize(
    ("header", "script"),
    [
        (b"text=plain words", Script(text="plain words")),
        (b"text=a%3Bb%3D%C3%A9", Script(text="a;b=é")),
        ("text=é".encode(), Script(text="é")),
        (b"text=a=b", Script(text="a=b")),
        (b"text=", Script(text="")),
        (b"deltas=64", Script(deltas=64)),
        (b"deltas=2; delta_chars=5", Script(deltas=2, delta_chars=5)),
        (b"tools=tides", Script(tools=("tides",))),
        (b"tools=tides, moon", Script(tools=("tides", "moon"))),
        (b'args={"a":1.10}', Script(args='{"a":1.10}')),
        (b'tools=tides,moon; args=[{"a":1},{}]', Script(tools=("tides", "moon"), args='[{"a":1},{}]')),
        (b"tools=tides; first_call=3", Script(tools=("tides",), first_call=3)),
        (b"thinking=1", Script(thinking=True)),
        (b"thinking=1; thought=So%3B; signature=c2VhbA==", Script(thinking=True, thought="So;", signature="c2VhbA==")),
        (b"redacted=1; should_retry=0", Script(redacted=True, should_retry=False)),
        (b"usage_in=7;usage_out=9", Script(usage_in=7, usage_out=9)),
        (b"cached=3;cache_write=2", Script(cached=3, cache_write=2)),
        (b"stop=max_tokens", Script(stop=Stop.LENGTH)),
        (b"stop_raw=eos", Script(stop_raw="eos")),
        (b"bytes=235", Script(body_bytes=235)),
        (b"status=429;retry_after=7", Script(status=429, retry_after_s=7)),
        (b"status=400;error=too%20long;error_code=x.y-z_1", Script(status=400, error="too long", error_code="x.y-z_1")),
        (b"fail_after=3", Script(fail_after=3)),
        (
            b"delay_head_ms=1;delay_first_ms=2;delay_frame_ms=3",
            Script(delay_head_ms=1, delay_first_ms=2, delay_frame_ms=3),
        ),
        (b"cut_at=0", Script(cut_at=0)),
        (b"reset_at=10", Script(reset_at=10)),
        (b"stall_at=10", Script(stall_at=10)),
        (b"split=1", Script(split=1)),
        (b"refuse=1", Script(refuse=True)),
        (b"garbage=1", Script(garbage=True)),
        (b"keepalive=0", Script(keepalive=False)),
        (b"late_length=1", Script(late_length=True)),
    ],
)
def test_header_knob_sets_its_field(header: bytes, script: Script) -> None:
    """Every knob has a field, and the header form gives the same record as the constructor."""
    assert parse_knobs(header) == script


@pytest.mark.parametrize("field", Script.__slots__)
def test_every_field_has_a_knob(field: str) -> None:
    """A script can be told by header whatever it can be told by a test."""
    knob = {"body_bytes": "bytes", "retry_after_s": "retry_after"}.get(field, field)
    with pytest.raises(BadKnob, match="needs a value"):
        parse_knobs(knob.encode())


@pytest.mark.parametrize(
    ("header", "knob"),
    [
        (b"colour=red", "colour"),
        (b"body_bytes=9", "body_bytes"),
        (b"=1", ""),
        (b"text", "text"),
        (b"split=1; split=2", "split"),
        (b"split=1.5", "split"),
        (b"split=-1", "split"),
        (b"split=\xc2\xb2", "split"),
        (b"split=", "split"),
        (b"split=99999999999", "split"),
        (b"split=0", "split"),
        (b"thinking=yes", "thinking"),
        (b"stop=tired", "stop"),
        (b"text=%FF", "text"),
        (b"text=\xff", "x-mock"),
    ],
)
def test_header_unreadable_is_refused_by_name(header: bytes, knob: str) -> None:
    """A knob that is unknown, misspelt or given twice names itself."""
    with pytest.raises(BadKnob) as caught:
        parse_knobs(header)
    assert caught.value.knob == knob
    assert repr(knob) in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "knob"),
    [
        ({"deltas": 0}, "deltas"),
        ({"deltas": 1_000_001}, "deltas"),
        ({"delta_chars": 0}, "delta_chars"),
        ({"deltas": 1000, "delta_chars": 1024 * 1024}, "deltas"),
        ({"usage_in": -1}, "usage_in"),
        ({"usage_out": 1_000_000_001}, "usage_out"),
        ({"usage_in": 5, "cached": 3, "cache_write": 3}, "cached"),
        ({"body_bytes": 0}, "bytes"),
        ({"body_bytes": 300, "deltas": 1}, "bytes"),
        ({"status": 199}, "status"),
        ({"status": 600}, "status"),
        ({"retry_after_s": 86_401}, "retry_after"),
        ({"delay_head_ms": 600_001}, "delay_head_ms"),
        ({"cut_at": -1}, "cut_at"),
        ({"cut_at": 1, "reset_at": 1}, "cut_at"),
        ({"stall_at": 1, "reset_at": 1}, "cut_at"),
        ({"split": 0}, "split"),
        ({"tools": ("",)}, "tools"),
        ({"tools": ("a b",)}, "tools"),
        ({"tools": ("t",) * 17}, "tools"),
        ({"args": "[1]"}, "args"),
        ({"args": "{"}, "args"),
        ({"tools": ("t",), "args": "[{},{}]"}, "args"),
        ({"tools": ("t", "u"), "args": "[{},1]"}, "args"),
        ({"first_call": -1}, "first_call"),
        ({"error_code": "a\r\nb"}, "error_code"),
        ({"error_code": ""}, "error_code"),
    ],
)
def test_record_out_of_bounds_is_refused_by_name(fields: dict[str, object], knob: str) -> None:
    """Scripts made by tests are checked like those of the header."""
    with pytest.raises(BadKnob) as caught:
        Script(**fields)  # type: ignore[arg-type]
    assert caught.value.knob == knob
    assert caught.value.status == 400


def test_record_at_its_bounds_is_accepted() -> None:
    """The bounds themselves are allowed."""
    script = Script(deltas=256, delta_chars=1024 * 1024, usage_in=5, cached=3, cache_write=2, status=599)
    assert (script.usage_in, script.status) == (5, 599)


def test_record_is_frozen() -> None:
    """A script can be shared between requests."""
    with pytest.raises(FrozenInstanceError):
        Script().split = 1  # type: ignore[misc]
