"""What the micro-benchmark of both legs drives: answers that leave nothing behind for the collector."""

import gc
from collections.abc import Callable
from functools import partial

import pytest

from busbar_fast.wire.pool import Origin
from busbar_fast.wire.service import Responder
from perf.micro.bench_exchange import ANSWER, BODY, CHUNK, CHUNKS, HEAD, STREAM_HEAD, new_core, new_gateway, new_pair

LAST_CHUNK = b"0\r\n\r\n"
ANSWERS = {
    "whole": [ANSWER],
    "in two pieces": [ANSWER[:-9], ANSWER[-9:]],
    "stream": [STREAM_HEAD, *[CHUNK] * 7, LAST_CHUNK],
    "burst": [STREAM_HEAD, CHUNKS, CHUNKS + LAST_CHUNK],
    "cut anywhere": [STREAM_HEAD, *(CHUNK[:3], CHUNK[3:], CHUNK + CHUNK[:-1], b"\n"), LAST_CHUNK],
}


@pytest.mark.parametrize("new_responder", [new_core, partial(new_core, keeps_trail=True), new_gateway])
@pytest.mark.parametrize("pieces", ANSWERS.values(), ids=ANSWERS)
def test_answer_leaves_no_garbage(new_responder: Callable[[Origin], Responder], pieces: list[bytes]) -> None:
    """A request that is over is freed at once: cycles would wait for the collector, whose pauses delay others."""
    downstream, upstream = new_pair(new_responder)

    def answer() -> None:
        downstream.data_received(HEAD + BODY)
        for piece in pieces:
            upstream.data_received(piece)

    answer()  # what is kept from the first one on is no garbage
    gc.collect()
    gc.disable()
    try:
        answer()
        assert gc.collect() == 0
    finally:
        gc.enable()
    assert downstream.served == 2
