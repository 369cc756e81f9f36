"""Replies given once, kept for the next request with the same bytes.

A load test sends one request over and over, and the mock backend must not be what it measures: a 67-frame stream takes
about 380 us to compose and 5 us to find again. Replies depend on nothing but the request and the script, so
remembering them changes no answer. What is kept is small and bounded.
"""

from collections.abc import Mapping

from busbar_fast.mock.reply import Reply
from busbar_fast.mock.router import KNOB_HEADER, answer
from busbar_fast.mock.schedule import Step, schedule
from busbar_fast.mock.script import Script

MAX_REPLIES = 64
MAX_BODY_BYTES = 16 * 1024
MAX_REPLY_BYTES = 256 * 1024
MAX_STEPS = 4096

Key = tuple[bytes, bytes | None, bytes, Script | None]
Play = tuple[Reply, list[Step]]


class Memo:
    """The replies that a server has given lately; one object per server."""

    __slots__ = ("_plays",)

    def __init__(self) -> None:
        self._plays: dict[Key, Play] = {}

    def play(
        self, method: bytes, target: bytes, headers: Mapping[bytes, bytes], body: bytes, script: Script | None = None
    ) -> Play:
        """Return the reply of `router.answer` and its steps; both are shared, so nobody may change them."""
        if method != b"POST" or len(body) > MAX_BODY_BYTES:  # other methods look at more headers than the knobs
            return _compose(answer(method, target, headers, body, script))
        key = (target, headers.get(KNOB_HEADER), body, script)
        play = self._plays.get(key)
        if play is None:
            play = _compose(answer(method, target, headers, body, script))
            if len(play[1]) <= MAX_STEPS and sum(map(len, play[0].frames)) <= MAX_REPLY_BYTES:
                if len(self._plays) >= MAX_REPLIES:
                    self._plays.clear()
                self._plays[key] = play
        return play


def _compose(reply: Reply) -> Play:
    return reply, schedule(reply, reply.script)
