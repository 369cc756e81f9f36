"""The built-in backend: speaks all six dialects, JSON and streams, and fails on demand.

Used by `busbar-fast demo`, by the tests and by `perf/`. Everything here is pure: `answer` turns a request into a
`Reply`, `schedule` turns a reply into the steps that a server plays on a connection, and a `Memo` remembers both.
"""

from busbar_fast.mock.memo import Memo
from busbar_fast.mock.reply import Reply
from busbar_fast.mock.router import answer
from busbar_fast.mock.schedule import Act, Step, schedule
from busbar_fast.mock.script import BadKnob, Script, Stop, parse_knobs

__all__ = ["Act", "BadKnob", "Memo", "Reply", "Script", "Step", "Stop", "answer", "parse_knobs", "schedule"]
