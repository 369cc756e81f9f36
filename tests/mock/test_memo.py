"""Remembering replies: same answers, bounded memory."""

from busbar_fast.mock import Memo, Script, answer, schedule
from busbar_fast.mock.memo import MAX_BODY_BYTES, MAX_REPLIES, MAX_REPLY_BYTES

TARGET = b"/v1/chat/completions"
BODY = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'


def test_play_equals_answer_and_schedule() -> None:
    """Remembering changes nothing about a reply."""
    reply, steps = Memo().play(b"POST", TARGET, {}, BODY)
    assert reply == answer(b"POST", TARGET, {}, BODY)
    assert steps == schedule(reply, reply.script)


def test_same_request_is_found_again() -> None:
    """The second time the very same objects come back."""
    memo = Memo()
    assert memo.play(b"POST", TARGET, {}, BODY) is memo.play(
        b"POST", TARGET, {b"accept": b"*/*"}, bytes(bytearray(BODY))
    )


def test_request_that_differs_anywhere_is_told_apart() -> None:
    """Path, knobs, body and script all belong to the key."""
    memo = Memo()
    plays = [
        memo.play(b"POST", TARGET, {}, BODY),
        memo.play(b"POST", b"/v2/chat", {}, BODY),
        memo.play(b"POST", TARGET, {b"x-mock": b"text=a"}, BODY),
        memo.play(b"POST", TARGET, {}, BODY + b" "),
        memo.play(b"POST", TARGET, {}, BODY, Script(text="b")),
    ]
    assert len({id(play) for play in plays}) == len(plays)


def test_other_methods_are_not_remembered() -> None:
    """A list of models depends on more headers than the key holds."""
    memo = Memo()
    openai, _ = memo.play(b"GET", b"/v1/models", {}, b"")
    anthropic, _ = memo.play(b"GET", b"/v1/models", {b"anthropic-version": b"2023-06-01"}, b"")
    assert openai.frames != anthropic.frames


def test_large_requests_and_replies_are_not_remembered() -> None:
    """What would hold much memory is composed anew."""
    memo = Memo()
    large = BODY + b" " * MAX_BODY_BYTES
    assert memo.play(b"POST", TARGET, {}, large) is not memo.play(b"POST", TARGET, {}, large)
    script = Script(body_bytes=MAX_REPLY_BYTES + 1)
    assert memo.play(b"POST", TARGET, {}, BODY, script) is not memo.play(b"POST", TARGET, {}, BODY, script)
    pieces = Script(body_bytes=MAX_REPLY_BYTES, split=1)
    assert memo.play(b"POST", TARGET, {}, BODY, pieces) is not memo.play(b"POST", TARGET, {}, BODY, pieces)


def test_memory_full_starts_again() -> None:
    """Never more than so many replies are held."""
    memo = Memo()
    first = memo.play(b"POST", TARGET, {}, BODY)
    for number in range(MAX_REPLIES - 1):
        memo.play(b"POST", TARGET, {}, BODY, Script(usage_in=number))
    assert memo.play(b"POST", TARGET, {}, BODY) is first
    memo.play(b"POST", TARGET, {}, BODY, Script(usage_in=1000))
    assert memo.play(b"POST", TARGET, {}, BODY) is not first
