"""Strands: woken by what they wait for and nothing else, undone in full when dropped."""

import asyncio
import logging
import types
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest

from busbar_fast.errors import BusbarError
from busbar_fast.wire.strand import Strand
from tests.fakes import FakeLoop, ProbeStrand, late


class Source:
    """Something to wait for: it stores its news, then wakes."""

    def __init__(self) -> None:
        self.news: list[str] = []

    def say(self, strand: Strand, news: str) -> None:
        self.news.append(news)
        strand.wake(self)

    async def next_news(self, strand: Strand) -> str:
        while not self.news:
            await strand.wait_for(self)
        return self.news.pop(0)


@pytest.fixture
def loop() -> FakeLoop:
    """Return a loop in manual time."""
    return FakeLoop()


@pytest.fixture
def strand(loop: FakeLoop) -> ProbeStrand:
    """Return a strand on that loop's wheel."""
    return ProbeStrand(loop.new_wheel())


def test_runs_to_first_wait_at_once(strand: ProbeStrand) -> None:
    """Starting runs the coroutine inside the call, up to its first wait."""
    source = Source()
    strand.start(source.next_news(strand))
    assert strand.source is source
    assert not strand.is_over


def test_awaited_source_wakes_inside_the_call(strand: ProbeStrand) -> None:
    """What the source says has been dealt with when its call returns."""
    source = Source()
    strand.start(source.next_news(strand))
    source.say(strand, "now")
    assert (strand.result, strand.ends, strand.is_over) == ("now", [None], True)


def test_other_sources_do_not_wake(strand: ProbeStrand) -> None:
    """News of a source that is not awaited stays with it until the strand asks."""
    first, second = Source(), Source()

    async def both() -> list[str]:
        return [await first.next_news(strand), await second.next_news(strand)]

    strand.start(both())
    second.say(strand, "early")
    assert strand.source is first
    first.say(strand, "late")
    assert strand.result == ["late", "early"]


def test_wake_within_a_step_is_not_a_second_step(strand: ProbeStrand) -> None:
    """A source that speaks while the strand runs leaves its news to be read, and nothing runs twice."""
    source = Source()

    async def speak_to_itself() -> list[str]:
        heard = [await source.next_news(strand)]
        source.say(strand, "own")
        heard.append(await source.next_news(strand))
        return heard

    strand.start(speak_to_itself())
    source.say(strand, "first")
    assert strand.result == ["first", "own"]


def test_wake_after_the_end_is_harmless(strand: ProbeStrand) -> None:
    """A source that outlives the strand may still call."""
    source = Source()
    strand.start(source.next_news(strand))
    source.say(strand, "last")
    source.say(strand, "too late")
    strand.wake(None)
    assert strand.ends == [None]


def test_deadline_is_raised_where_the_strand_waits(loop: FakeLoop, strand: ProbeStrand) -> None:
    """The error of a deadline comes out of the wait, where it can be dealt with."""
    source = Source()

    async def wait() -> str:
        try:
            with strand.within(1.0, late):
                return await source.next_news(strand)
        except BusbarError as error:
            return str(error)

    strand.start(wait())
    loop.advance(1.0)
    assert not strand.is_over
    loop.advance_past(0)
    assert strand.result == "late"


def test_deadline_ends_a_strand_that_does_not_catch_it(loop: FakeLoop, strand: ProbeStrand) -> None:
    """An uncaught deadline ends the coroutine with that error, and the source is forgotten."""
    source = Source()

    async def wait() -> str:
        with strand.within(1.0, late):
            return await source.next_news(strand)

    strand.start(wait())
    loop.advance_past(1.0)
    assert str(strand.error) == "late"
    assert strand.source is None


def test_deadline_does_not_touch_later_waits(loop: FakeLoop, strand: ProbeStrand) -> None:
    """A source that was awaited when the deadline passed does not wake the strand out of its next wait."""
    first, second = Source(), Source()

    async def wait() -> str:
        with pytest.raises(BusbarError), strand.within(1.0, late):
            await first.next_news(strand)
        return await second.next_news(strand)

    strand.start(wait())
    loop.advance_past(1.0)
    first.say(strand, "stale")
    assert not strand.is_over
    second.say(strand, "fresh")
    assert strand.result == "fresh"


def test_deadline_taken_back_never_fires(loop: FakeLoop, strand: ProbeStrand) -> None:
    """Behind the `with` block the time is forgotten."""
    source = Source()

    async def wait() -> str:
        with strand.within(1.0, late):
            pass
        return await source.next_news(strand)

    strand.start(wait())
    loop.advance_past(5.0)
    source.say(strand, "in peace")
    assert strand.result == "in peace"


def test_deadline_without_an_error_holds_no_longer(loop: FakeLoop, strand: ProbeStrand) -> None:
    """A deadline that has nothing to raise when it passes disturbs neither the wait nor another deadline."""
    source = Source()

    async def wait() -> str:
        with strand.within(3.0, late), strand.within(1.0, lambda: None):
            return await source.next_news(strand)

    strand.start(wait())
    loop.advance_past(1.0)
    assert (strand.is_over, len(strand.deadlines), strand.source) == (False, 1, source)
    loop.advance_past(2.0)
    assert str(strand.error) == "late"


@pytest.mark.parametrize(("outer_s", "inner_s", "said"), [(1.0, 3.0, "outer"), (3.0, 1.0, "inner")])
def test_nearest_of_nested_deadlines_counts(
    loop: FakeLoop, strand: ProbeStrand, outer_s: float, inner_s: float, said: str
) -> None:
    """Of two deadlines the one that passes first is raised, whichever was set first."""
    source = Source()

    async def wait() -> str:
        with strand.within(outer_s, lambda: BusbarError("outer")), strand.within(inner_s, lambda: BusbarError("inner")):
            return await source.next_news(strand)

    strand.start(wait())
    loop.advance_past(1.0)
    assert str(strand.error) == said


def test_outer_deadline_outlives_an_inner_one(loop: FakeLoop, strand: ProbeStrand) -> None:
    """What a part of the work sets and takes back leaves the deadline of the whole alone."""
    source = Source()

    async def wait() -> str:
        with strand.within(2.0, late):
            with strand.within(1.0, lambda: BusbarError("inner")):
                await source.next_news(strand)
            return await source.next_news(strand)

    strand.start(wait())
    source.say(strand, "part")
    loop.advance_past(1.5)
    assert not strand.is_over
    loop.advance_past(0.5)
    assert str(strand.error) == "late"


def test_timer_that_fires_early_is_armed_again(loop: FakeLoop, strand: ProbeStrand) -> None:
    """A deadline is judged by the clock, not by the timer that reminds of it."""
    source = Source()

    async def wait() -> str:
        with strand.within(1.0, late):
            return await source.next_news(strand)

    strand.start(wait())
    strand._on_overdue()
    assert not strand.is_over
    loop.advance_past(1.0)
    assert str(strand.error) == "late"


def test_end_frees_the_timer(loop: FakeLoop) -> None:
    """However a strand with a deadline ends, the wheel holds nothing of it."""
    wheel = loop.new_wheel()

    async def wait(strand: Strand, source: Source) -> None:
        with strand.within(60.0, late):
            await source.next_news(strand)
            raise BusbarError("failed")

    strands = [ProbeStrand(wheel) for _ in range(3)]
    source = Source()
    for strand in strands:
        strand.start(wait(strand, source))
    assert len(wheel) == 3
    source.say(strands[0], "fail")
    strands[1].close()
    loop.advance_past(60.0)
    assert len(wheel) == 0
    assert [len(strand.ends) for strand in strands] == [1, 0, 1]


@asynccontextmanager
async def noted(log: list[str]) -> AsyncIterator[None]:
    """Note that an async block was left."""
    try:
        yield
    finally:
        log.append("async with")


@contextmanager
def listed(log: list[str]) -> Iterator[None]:
    """Note that a block was left."""
    try:
        yield
    finally:
        log.append("with")


@pytest.mark.parametrize("stage", range(3))
def test_close_cleans_up_before_it_returns(strand: ProbeStrand, stage: int) -> None:
    """At whichever wait a strand is closed, every `with` and `finally` around that wait has run."""
    source, log = Source(), list[str]()

    async def layers() -> None:
        try:
            await source.next_news(strand)
            with listed(log):
                await source.next_news(strand)
                async with noted(log):
                    await source.next_news(strand)
        finally:
            log.append("finally")

    strand.start(layers())
    for _ in range(stage):
        source.say(strand, "go on")
    strand.close()
    assert log == ["async with", "with", "finally"][2 - stage :]
    assert strand.is_over
    assert strand.ends == []


def test_close_before_the_start_and_after_the_end_does_nothing(strand: ProbeStrand) -> None:
    """Closing is harmless when there is nothing to close."""
    strand.close()

    async def nothing() -> None: ...

    strand.start(nothing())
    strand.close()
    strand.close()
    assert strand.ends == [None]


def test_future_result_is_taken(loop: FakeLoop, strand: ProbeStrand) -> None:
    """A plain future can be awaited; the strand goes on when the loop calls back."""
    future = loop.new_future()
    strand.start(future)
    future.set_result("result")
    loop.run_ready()
    assert strand.result == "result"


def test_bare_yield_waits_one_turn() -> None:
    """A bare yield gives the loop a turn, as it would in a Task."""
    turns: list[str] = []

    @types.coroutine
    def bare() -> Generator[None, None, None]:
        yield

    async def yield_once() -> None:
        turns.append("before")
        await bare()
        turns.append("after")

    async def drive() -> None:
        probe = ProbeStrand(FakeLoop().new_wheel())
        probe.run(yield_once())
        assert turns == ["before"]
        over = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(over.set_result, None)
        await over

    asyncio.run(drive())
    assert turns == ["before", "after"]


def test_future_error_is_raised(loop: FakeLoop, strand: ProbeStrand) -> None:
    """The error of a future comes out where it is awaited."""
    future = loop.new_future()
    strand.start(future)
    future.set_exception(OSError("no"))
    loop.run_ready()
    assert isinstance(strand.error, OSError)


def test_cancelled_future_ends_the_strand(loop: FakeLoop, strand: ProbeStrand) -> None:
    """A future that somebody cancelled ends a strand that does not catch it, without harming the loop."""
    future = loop.new_future()
    strand.start(future)
    future.cancel()
    loop.run_ready()
    assert isinstance(strand.error, asyncio.CancelledError)


def test_source_does_not_wake_out_of_a_future(loop: FakeLoop, strand: ProbeStrand) -> None:
    """News of a source stays where it is while the strand awaits a future."""
    source, future = Source(), loop.new_future()

    async def both() -> tuple[str, str]:
        return await future, await source.next_news(strand)

    strand.start(both())
    source.say(strand, "early")
    assert not strand.is_over
    future.set_result("future")
    loop.run_ready()
    assert strand.result == ("future", "early")


def test_close_cancels_the_awaited_future(loop: FakeLoop, strand: ProbeStrand) -> None:
    """A dropped strand lets the future go, cancelled as by a Task, and is not called back."""
    future = loop.new_future()
    strand.start(future)
    strand.close()
    assert future.cancelled()
    loop.run_ready()
    assert (strand.ends, loop.complaints) == ([], [])


def test_deadline_cancels_the_awaited_future(loop: FakeLoop, strand: ProbeStrand) -> None:
    """A deadline that passes while a future is awaited raises its own error, once."""
    future = loop.new_future()

    async def wait() -> None:
        with strand.within(1.0, late):
            await future

    strand.start(wait())
    loop.advance_past(1.0)
    assert future.cancelled()
    assert str(strand.error) == "late"
    assert len(strand.ends) == 1


def test_future_done_before_the_close_is_ignored(loop: FakeLoop, strand: ProbeStrand) -> None:
    """A future whose call back is on its way when the strand is closed wakes nobody."""
    future = loop.new_future()
    strand.start(future)
    future.set_result("unread")
    strand.close()
    loop.run_ready()
    assert (strand.ends, strand.result) == ([], None)


def test_error_is_handed_to_on_end(strand: ProbeStrand) -> None:
    """A coroutine that fails ends the strand with its error, inside the call that woke it."""
    source = Source()

    async def fail() -> None:
        raise ValueError(await source.next_news(strand))

    strand.start(fail())
    source.say(strand, "broken")
    assert str(strand.error) == "broken"


def test_bare_strand_raises_what_ended_it(loop: FakeLoop) -> None:
    """Work that nobody listens to fails loudly."""
    strand = Strand(loop.new_wheel())

    async def fail() -> None:
        raise ValueError("unheard")

    with pytest.raises(ValueError, match="unheard"):
        strand.run(fail())
    assert strand.is_over


async def wait_again(strand: Strand, source: Source) -> None:
    """Wait during the clean-up, which nobody may."""
    try:
        await source.next_news(strand)
    finally:
        await source.next_news(strand)


async def stumble(strand: Strand, source: Source) -> None:
    """Fail during the clean-up."""
    try:
        await source.next_news(strand)
    finally:
        raise ValueError("in the clean-up")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("coroutine", [wait_again, stumble])
def test_faulty_clean_up_is_reported_and_harms_nobody(
    coroutine: object, strand: ProbeStrand, caplog: pytest.LogCaptureFixture
) -> None:
    """A coroutine that waits or fails while it is closed is logged, and whoever closed it goes on."""
    source = Source()
    assert callable(coroutine)
    strand.start(coroutine(strand, source))
    with caplog.at_level(logging.ERROR, "busbar_fast.wire"):
        strand.close()
    assert [record.message for record in caplog.records] == ["the clean-up of a dropped strand failed"]
    source.say(strand, "too late")
    assert strand.is_over
    assert strand.ends == []
