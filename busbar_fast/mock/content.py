"""The neutral answer that all six dialects render: text pieces, thoughts, tool calls, usage and the stop reason.

`compose` makes it from a script and a request, and from nothing else: the same two give the same answer, ids and
times included. Nothing here knows how an answer looks on the wire.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from json import JSONDecoder

import orjson

from busbar_fast.mock.ask import Ask
from busbar_fast.mock.script import BadKnob, Script, Stop

CREATED_S = 1_760_000_000
SIGNATURE = "bW9jay1zaWduYXR1cmU="  # base64, as two of the dialects demand
REDACTED = "bW9jay1yZWRhY3RlZC10aG91Z2h0"  # the same

_THOUGHT = "The user wants an answer, so I give one."
_FILLER = "All work and no play. "
_CHARS_PER_TOKEN = 4
_DECODER = JSONDecoder()


@dataclass(frozen=True, slots=True)
class Call:
    """One tool call: its arguments are JSON text, streamed in pieces; `serial` counts on over a whole conversation."""

    number: int
    serial: int
    name: str
    pieces: tuple[str, ...]

    @property
    def args(self) -> str:
        """The whole argument text."""
        return "".join(self.pieces)

    @property
    def raw_args(self) -> orjson.Fragment:
        """The arguments as a JSON value, byte for byte."""
        return orjson.Fragment(self.args)

    @property
    def free_text(self) -> str:
        """What a tool is given that takes any text: the member `input` of the arguments."""
        return str(orjson.loads(self.args).get("input", ""))


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts: `prompt` includes what the cache gave and took, `output` includes `reasoning`."""

    prompt: int
    output: int
    reasoning: int = 0
    cached: int | None = None
    cache_write: int | None = None

    @property
    def uncached(self) -> int:
        """Prompt tokens that neither came from the cache nor went into it."""
        return self.prompt - (self.cached or 0) - (self.cache_write or 0)

    @property
    def total(self) -> int:
        """All tokens."""
        return self.prompt + self.output


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is said in reply to `ask`; `lean` leaves out every member that a client can do without."""

    ask: Ask
    pieces: tuple[str, ...]
    thoughts: tuple[str, ...]
    signature: str  # seals the thoughts
    secrets: tuple[str, ...]  # thoughts that nobody but the vendor can read
    calls: tuple[Call, ...]
    usage: Usage
    stop: Stop
    stop_raw: str | None
    lean: bool

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.pieces)

    @property
    def thought(self) -> str:
        """The whole thinking."""
        return "".join(self.thoughts)


def compose(script: Script, ask: Ask) -> Answer:
    """Return the answer that the script gives to the request."""
    pieces = cut(_choose_text(script, ask), script.delta_chars)
    thought = _THOUGHT if script.thought is None else script.thought
    thoughts = cut(thought, script.delta_chars) if script.thinking else ()
    calls = tuple(
        Call(number, script.first_call + number, name, cut(args, script.delta_chars))
        for number, (name, args) in enumerate(zip(script.tools, _args_of_each(script), strict=True))
    )
    return Answer(
        ask=ask,
        pieces=pieces,
        thoughts=thoughts,
        signature=SIGNATURE if script.signature is None else script.signature,
        secrets=(REDACTED,) if script.redacted else (),
        calls=calls,
        usage=_count(script, ask, said="".join((*pieces, *(call.args for call in calls))), thought="".join(thoughts)),
        stop=script.stop or (Stop.TOOL if calls else Stop.END),
        stop_raw=script.stop_raw,
        lean=script.body_bytes is not None,
    )


def fill_body(answer: Answer, encode: Callable[[Answer], bytes], size_bytes: int) -> bytes:
    """Return the encoded answer with its text repeated or cut so that the body has exactly that size."""
    floor_bytes = len(encode(replace(answer, pieces=(".",)))) - 1
    room_bytes = size_bytes - floor_bytes
    if room_bytes < 1:
        raise BadKnob("bytes", f"must be at least {floor_bytes + 1} for this answer")
    text = answer.text
    is_plain = len(orjson.dumps(text)) == len(text) + 2  # every character is one byte of JSON
    return encode(replace(answer, pieces=(_repeat(text if is_plain else _FILLER, room_bytes),)))


def estimate_tokens(text: str) -> int:
    """Return a plausible number of tokens for a text."""
    return -(-len(text) // _CHARS_PER_TOKEN)


def cut(text: str, size: int) -> tuple[str, ...]:
    """Return the text in pieces of `size` characters, the last one being what is left."""
    return tuple(text[at : at + size] for at in range(0, len(text), size))


def logprob_of(text: str) -> float:
    """Return a plausible log probability of a piece of text, which any float holds exactly."""
    return -(1 + len(text) % 16) / 16


def mint(prefix: str, length: int, number: int = 0, *, filler: str = "Mock") -> str:
    """Return an id of the vendor's length; `number` tells several apart, without the digit 0 that base58 lacks."""
    tail = str(number + 1).replace("0", "a")
    return prefix + (filler * length)[: length - len(prefix) - len(tail)] + tail


def _args_of_each(script: Script) -> list[str]:
    """Return the arguments of each call, as the script writes them."""
    if not script.args.lstrip().startswith("["):
        return [script.args] * len(script.tools)
    each, end = [], 0
    for _ in script.tools:
        start = script.args.index("{", end)
        _, end = _DECODER.raw_decode(script.args, start)
        each.append(script.args[start:end])
    return each


def _choose_text(script: Script, ask: Ask) -> str:
    if script.text is not None:
        text = script.text
    elif script.tools:
        text = ""
    else:
        text = f"You said: {ask.prompt}" if ask.prompt else "You said nothing."
    return text if script.deltas is None else _repeat(text, script.deltas * script.delta_chars)


def _repeat(text: str, size: int) -> str:
    """Return exactly `size` characters of the text, said again and again."""
    source = text or _FILLER
    return (source * (size // len(source) + 1))[:size]


def _count(script: Script, ask: Ask, *, said: str, thought: str) -> Usage:
    """Return the usage: what the script says, else an estimate that the cache counts fit into."""
    prompt = script.usage_in
    if prompt is None:
        prompt = max(1, estimate_tokens(ask.prompt), (script.cached or 0) + (script.cache_write or 0))
    reasoning = estimate_tokens(thought)
    output = max(1, estimate_tokens(said) + reasoning) if script.usage_out is None else script.usage_out
    return Usage(prompt, output, min(reasoning, output), script.cached, script.cache_write)
