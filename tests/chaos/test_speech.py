"""The judge of the chaos run lets through what vendors say, and nothing else."""

from random import Random

import pytest

from busbar_fast.mock.router import answer
from busbar_fast.mock.script import Script
from tests.chaos.fates import fate
from tests.chaos.speech import NAMES, Call, Outcome, Violation, judge, judge_cut
from tests.system.rawclient import Answer

NONCE = b"nonce000000001"
CALLS = [
    *(Call(name, "m", NONCE, in_stream=in_stream) for name in NAMES for in_stream in (False, True)),
    Call("gemini", "m", NONCE, in_stream=True, in_array=True),
]


def told(call: Call, script: Script = Script()) -> Answer:  # noqa: B008  a frozen record
    """Return the mock's answer to a call."""
    head, body = call.encode()
    method, target, _ = head.split(b" ", 2)
    reply = answer(method, target, {}, body, script)
    lines = [line.split(b": ", 1) for line in reply.headers.split(b"\r\n") if line]
    return Answer(reply.status, {name.lower(): value for name, value in lines}, b"".join(reply.frames))


@pytest.mark.parametrize("call", CALLS)
def test_good_answer_passes(call: Call) -> None:
    """Each dialect's answer to the call is whole, in whatever pieces its text comes."""
    for size in (1, 5, 64):
        assert judge(call, told(call, Script(delta_chars=size))) is Outcome.WHOLE


@pytest.mark.parametrize("call", CALLS)
def test_native_error_passes(call: Call) -> None:
    """Each dialect's error is one, and so is the error inside its stream."""
    assert judge(call, told(call, Script(status=503))) is Outcome.REFUSED
    inside = judge(call, told(call, Script(status=529, fail_after=2)))
    assert inside is (Outcome.ERROR_INSIDE if call.in_stream else Outcome.REFUSED)


@pytest.mark.parametrize("call", CALLS)
def test_answer_to_another_request_is_found(call: Call) -> None:
    """An answer to somebody else fails, and so does one that is not about what was asked."""
    other = told(call._replace(nonce=b"nonce000000002"))
    with pytest.raises(Violation):
        judge(call, other)
    with pytest.raises(Violation):
        judge(call, told(call, Script(text="Hello.")))


@pytest.mark.parametrize("call", [call for call in CALLS if call.in_stream])
def test_stream_without_its_end_is_found(call: Call) -> None:
    """A stream that ends as if it were whole, but is not, fails."""
    good = told(call)
    for at in (len(good.body) // 2, len(good.body) // 3):
        with pytest.raises(Violation):
            judge(call, Answer(good.status, good.fields, good.body[:at]))


@pytest.mark.parametrize("call", CALLS)
def test_foreign_error_is_found(call: Call) -> None:
    """A plain text and an error of another shape fail."""
    for kind, body in ((b"text/plain", b"Internal Server Error"), (b"application/json", b'{"detail":"x"}')):
        with pytest.raises(Violation):
            judge(call, Answer(500, {b"content-type": kind}, body))


def test_only_streams_and_large_documents_may_break_off() -> None:
    """A small document that breaks off fails, and so does a connection that ends without a word."""
    whole, stream = Call("openai", "m", NONCE), Call("openai", "m", NONCE, in_stream=True)
    assert judge_cut(stream, 200, b"data: {") is Outcome.CUT
    assert judge_cut(whole, 200, b"\r\nContent-Length: 70000\r\n\r\n{") is Outcome.CUT
    for call, status, received in ((whole, 200, b"{"), (stream, 0, b""), (stream, 503, b"{")):
        with pytest.raises(Violation):
            judge_cut(call, status, received)


def test_fates_repeat_with_their_seed() -> None:
    """The same seed draws the same fates, and all of them are scripts that the mock takes."""
    first, second = Random(5), Random(5)
    fates = [fate(first, 0.5) for _ in range(500)]
    assert fates == [fate(second, 0.5) for _ in range(500)]
    assert 80 < sum(script.status is not None for script in fates) < 170
