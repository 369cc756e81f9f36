"""What happens in a conversation: what the model says in each turn, and what becomes of the calls.

A `Turn` is told by a mock backend in any dialect. An agent gets from its table of results whatever its model calls for.
"""

import base64
from collections.abc import Container
from typing import Final, NamedTuple

from busbar_fast.mock.script import Script
from tests.system.sdk import PNG

USAGE_OUT: Final = 211
PIXEL: Final = PNG


class Call(NamedTuple):
    """One call: its arguments are the text that the model writes."""

    name: str
    args: str


class Result(NamedTuple):
    """What became of a call."""

    text: str
    image: str = ""
    is_error: bool = False


class Turn(NamedTuple):
    """What a model says at once, thoughts only if there are any; `task` is what the user says before."""

    thought: str
    text: str
    calls: tuple[Call, ...] = ()
    results: tuple[Result, ...] = ()
    task: str = ""
    has_secret: bool = False


class Story(NamedTuple):
    """A whole conversation."""

    turns: tuple[Turn, ...]

    def calls_before(self, number: int) -> int:
        """Return how many calls there were before a turn."""
        return sum(len(turn.calls) for turn in self.turns[:number])

    def without_thoughts(self, numbers: Container[int]) -> "Story":
        """Return the same story, but that nothing is thought in some turns."""
        turns = enumerate(self.turns)
        return Story(
            tuple(turn._replace(thought="", has_secret=False) if at in numbers else turn for at, turn in turns)
        )

    def script(self, number: int, dialect: str) -> Script:
        """Return a turn as the mock backend is told to say it."""
        turn = self.turns[number]
        return Script(
            text=turn.text,
            tools=tuple(call.name for call in turn.calls),
            args=f"[{','.join(call.args for call in turn.calls)}]" if turn.calls else "{}",
            first_call=self.calls_before(number),
            thinking=bool(turn.thought),
            thought=turn.thought,
            signature=seal(dialect, number),
            redacted=turn.has_secret,
            usage_in=prompt_tokens(number),
            usage_out=USAGE_OUT,
            cached=cached_tokens(number),
            cache_write=written_tokens(number),
            delta_chars=7,
        )


def prompt_tokens(number: int) -> int:
    """Return how long the prompt of a turn is, cache included."""
    return 6000 + 500 * number


def cached_tokens(number: int) -> int:
    """Return how much of it came from the cache."""
    return 5000 if number else 0


def written_tokens(number: int) -> int:
    """Return how much of it went into the cache."""
    return 0 if number else 5000


def seal(dialect: str, number: int) -> str:
    """Return what a vendor seals its model's thoughts of a turn with."""
    return base64.b64encode(f"{dialect} alone can open the thought of turn {number}".encode()).decode()


ODD_ARGS: Final = (
    '{"path":"harbour/north/brest/gauge.py","changes":[{"old":"offset = 1.10\\n","new":"offset = 0.10  # '
    '\\u00e9t\\u00e9 \\ud83c\\udf0a\\n","all":false},{"old":"\\t\\"UTC+1\\"","new":"\\t\\"UTC\\""}]}'
)
EDITING: Final = Story(
    (
        Turn(
            "The table is an hour off, so it may be the clock. I look at the gauge and at who calls it.",
            "I look at the gauge of Brest.",
            (
                Call("Open", '{"path":"harbour/north/brest/gauge.py","lines":[1,40]}'),
                Call("Find", '{"pattern":"offset\\\\s*=", "glob":"*.py","show":"lines","around":2}'),
            ),
            (Result("  1\toffset = 1.10\n  2\tzone = 'UTC+1'\n"), Result("brest/gauge.py:1: offset = 1.10")),
            task="first",
        ),
        Turn(
            "Two things differ. A picture of the curve would tell which of them matters.",
            "",
            (
                Call("Open", '{"path":"curve.png"}'),
                Call("Shell", '{"command":"make -C harbour check","timeout_ms":1e3,"env":{}}'),
                Call("mcp__tides__height_at", '{"port":"Brest","at":"2026-01-31T06:00:00Z"}'),
            ),
            (
                Result("The curve of Sunday:", image=PIXEL),
                Result("make: *** [check] Error 2", is_error=True),
                Result('{"height": 6.70, "id": 12345678901234567890}'),
            ),
        ),
        Turn(
            "It is the zone. I mend it and keep the list.",
            "It is the time zone.",
            (
                Call("Change", ODD_ARGS),
                Call(
                    "Steps", '{"steps":[{"content":"mend","status":"done","notes":null,"parts":[{"content":"zone"}]}]}'
                ),
            ),
            (Result("Changed 2 places."), Result("")),
        ),
        Turn("The tests are green.", "The zone of the gauge was UTC+1. It is UTC now, and the table is right again."),
        Turn(
            "Saint-Malo has a gauge of its own.",
            "I look there as well.",
            (Call("Shell", '{"command":"grep -n \\"zone\\" harbour/north/saint-malo/gauge.py | head -3"}'),),
            (Result("2:zone = 'UTC'"),),
            task="second",
            has_secret=True,
        ),
        Turn("It says UTC.", "No. Saint-Malo says UTC, in line 2 of its gauge.py."),
    )
)
PATCHING: Final = Story(
    (
        Turn(
            "First a look at the folder, and at the gauge.",
            "",
            (
                Call("shell", '{"command":["bash","-lc","ls -la harbour/north/brest"],"workdir":"."}'),
                Call("shell", '{"command":["sed","-n","1,40p","gauge.py"],"timeout_ms":1e4}'),
            ),
            (Result("gauge.py\nnotices.md\nExit code: 0"), Result("offset = 1.10\nzone = 'UTC+1'\n\tExit code: 0")),
            task="first",
        ),
        Turn(
            "It is the zone. A patch will do, and the plan goes on.",
            "I change the zone.",
            (
                Call(
                    "patch_files",
                    '{"input":"*** Begin\\n*** Update: gauge.py\\n@@\\n-zone = \\"UTC+1\\"\\n'
                    '+zone = \\"UTC\\"  # \u00e9t\u00e9 \U0001f30a\\n*** End\\n"}',
                ),
                Call(
                    "update_plan",
                    '{"plan":[{"content":"mend","status":"begun","parts":[]},{"content":"check","status":"open"}]}',
                ),
            ),
            (Result("Success. M gauge.py"), Result("Plan updated")),
        ),
        Turn(
            "The curve should look right now.",
            "",
            (Call("view_image", '{"path":"curve.png"}'),),
            (Result("The curve of today:", image=PIXEL),),
        ),
        Turn("It does.", "The zone of the gauge was UTC+1. It is UTC now."),
        Turn(
            "Another gauge.",
            "",
            (Call("shell", '{"command":["rg","zone","harbour/north/saint-malo/gauge.py"]}'),),
            (Result("2:zone = 'UTC'"),),
            task="second",
        ),
        Turn("UTC.", "No, Saint-Malo says UTC."),
    )
)
