"""What all dialects share, and what each must say for itself."""

from collections.abc import Callable
from typing import cast

import pytest

from busbar_fast.dialects.asks import Ask
from busbar_fast.dialects.dialect import Dialect, StreamFault, Usage, Watch
from busbar_fast.dialects.registry import speak_all
from tests.dialects.bare import bare


def test_nothing_is_left_unsaid() -> None:
    """A dialect that lacks a part cannot be made, so none answers with a guess of its base."""
    bases: list[Callable[[], object]] = [Dialect, Watch]
    for base in bases:
        with pytest.raises(TypeError, match="abstract"):
            base()


def test_what_most_dialects_need_is_the_default() -> None:
    """The model stands in the body, keys in a header; one frame, no beta, no signature."""
    plain = bare(Dialect)
    assert (plain.has_model_in_body, plain.needs_model_in_body, plain.before_model) == (True, True, "")
    assert (plain.has_key_in_query, plain.aws_service, plain.id_field) == (False, b"", b"")
    assert plain.needed_betas("key") == b""
    assert plain.new_reframer(cast("Ask", None)) is None
    assert plain.find_inner_models(b'{"x":{"model":"m"}}', cast("Ask", None)) == []
    assert plain.time_limit_field == b""
    assert (plain.loop_words, plain.counted_at) == ((), ((),))
    assert (plain.usage_member, plain.ask_for_usage(b"{}", []), plain.new_stripper()) == (b"", None, None)
    assert plain.can_ask_for_usage({})


def test_what_travels_on_is_listed() -> None:
    """Reliability §8: of a client's head nothing goes upstream but what a dialect lists."""
    plain = bare(Dialect)
    fields = {b"x-a": b"1", b"cookie": b"c", b"x-b": b"2"}
    assert plain.forwarded_fields(fields, {}) == b""
    plain.forwarded = (b"x-b", b"x-c")
    assert plain.forwarded_fields(fields, {}) == b"x-b: 2\r\n"


def test_watch_knows_what_it_is_told() -> None:
    """A watch that says nothing about streams looks at documents: everything is shown, the framing tells the end."""

    class Silent(Watch):
        def feed(self, piece: bytes) -> None: ...

        def maybe_usage(self) -> Usage | None:
            return None

    watch = Silent()
    watch.feed(b"x")
    watch.feed_whole(b"x")
    assert (watch.maybe_usage(), watch.has_ended, watch.fault) == (None, True, None)
    assert (watch.is_between, watch.sign, watch.ends) == (False, b"", ())
    assert watch.unit_head(7) == b""


def test_fault_in_a_stream_is_read_like_a_refusal() -> None:
    """Reliability §3: an error that comes inside a stream has no status of its own, and may have a name besides."""
    for dialect in speak_all():
        error = dialect.read_fault(StreamFault("throttlingException", b'{"message":"Slow down."}'), 0.0)
        assert error.message == "Slow down."
        assert error.type in (None, "ThrottlingException")


def test_ids_differ() -> None:
    """Operations §7: an answer without an id gets one nobody else has, fit for a header."""
    for dialect in speak_all():
        ids = {dialect.new_id() for _ in range(64)}
        assert len(ids) == 64
        assert all(raw.isascii() and raw.decode().isprintable() and b" " not in raw for raw in ids)


def test_usages_are_equal_by_what_they_count() -> None:
    """Two that count the same are one and the same to whoever compares them, and to nothing else."""
    usage = Usage(3, 5)
    assert usage == Usage(3, 5)
    assert usage not in (Usage(3, 4), Usage(2, 5))
    assert usage != (3, 5)
    assert {usage: 1}[Usage(3, 5)] == 1
    assert repr(usage) == "Usage(3, 5)"
