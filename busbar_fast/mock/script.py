"""What the mock backend is told to do: one frozen record, given by a test or read from a request header.

`Script` holds what is said (text, tool calls, tokens, stop reason), which error is answered, and the faults of the
connection that `schedule` turns into steps. A client sets the same fields with the header
`x-mock: key=value; key=value`; values of words are percent-decoded, so `%3B` is a semicolon. Whatever is out of bounds
raises `BadKnob`, which names the knob. This module knows no dialect and no HTTP.

| Knob | Meaning |
|---|---|
| `text` | the answer, instead of an echo of the last user text |
| `deltas`, `delta_chars` | that many text pieces of that many characters; the text is repeated or cut to fill them |
| `tools`, `args` | names of called tools, comma between them; the JSON object of their arguments, or a list of those |
| `first_call` | how many calls there were before, so that ids differ from one turn of a conversation to the next |
| `thinking` | 1: think first, where the dialect can say so |
| `thought`, `signature` | what is thought, and what seals it, which two dialects want to be base64 |
| `redacted` | 1: think in secret first, where the dialect has a block for it |
| `usage_in`, `usage_out` | all tokens of the prompt, cache included; all tokens of the answer, thinking included |
| `cached`, `cache_write` | tokens of the prompt that were read from, and written to, the vendor's prompt cache |
| `stop`, `stop_raw` | why the answer ends, as one of `Stop`; or the very word of the dialect |
| `bytes` | exact size of a JSON answer |
| `status`, `error`, `error_code`, `retry_after` | an error answer: status, text, the dialect's own code, seconds |
| `should_retry` | beside an error: 1 or 0, whether to try again, where the vendor tells |
| `fail_after` | an error inside the stream after that many frames; `status` then names its class |
| `delay_head_ms`, `delay_first_ms`, `delay_frame_ms` | wait before the head, the first frame, each further frame |
| `cut_at`, `reset_at`, `stall_at` | close, reset, or fall silent after that many bytes of payload |
| `split` | write the payload in pieces of that many bytes |
| `refuse`, `garbage` | 1: close without an answer; 1: answer with something that is not HTTP |
| `keepalive` | 0: close the connection after the answer |
| `late_length` | 1: do not announce the length of a JSON answer, it shows only at the end |
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from re import compile as pattern
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import unquote

import orjson

from busbar_fast.errors import BusbarError, Side


class BadKnob(BusbarError):
    """A knob is unknown, unreadable, out of bounds, or contradicts another one."""

    side = Side.DOWNSTREAM
    status = 400

    def __init__(self, knob: str, reason: str) -> None:
        super().__init__(f"x-mock: {knob!r} {reason}")
        self.knob = knob


class Stop(StrEnum):
    """Why an answer ends; each dialect has its own word for it."""

    END = "end_turn"
    LENGTH = "max_tokens"
    SEQUENCE = "stop_sequence"
    TOOL = "tool_use"
    SAFETY = "safety"
    REFUSAL = "refusal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """One answer of the mock backend; every field has its knob, see the module docstring."""

    text: str | None = None
    deltas: int | None = None
    delta_chars: int = 16
    tools: tuple[str, ...] = ()
    args: str = '{"place":"Brest","hours":24}'
    first_call: int = 0
    thinking: bool = False
    thought: str | None = None
    signature: str | None = None
    redacted: bool = False
    usage_in: int | None = None
    usage_out: int | None = None
    cached: int | None = None
    cache_write: int | None = None
    stop: Stop | None = None
    stop_raw: str | None = None
    body_bytes: int | None = None

    status: int | None = None
    error: str | None = None
    error_code: str | None = None
    retry_after_s: int | None = None
    should_retry: bool | None = None
    fail_after: int | None = None

    delay_head_ms: int = 0
    delay_first_ms: int = 0
    delay_frame_ms: int = 0
    cut_at: int | None = None
    reset_at: int | None = None
    stall_at: int | None = None
    split: int | None = None
    refuse: bool = False
    garbage: bool = False
    keepalive: bool = True
    late_length: bool = False

    def __post_init__(self) -> None:
        for knob, (low, high) in _BOUNDS.items():
            number = getattr(self, _FIELD_OF.get(knob, knob))
            if number is not None and not low <= number <= high:
                raise BadKnob(knob, f"must lie within {low} and {high}")
        _check_words(self)
        _check_combination(self)


_FIELD_OF: Final = MappingProxyType({"bytes": "body_bytes", "retry_after": "retry_after_s"})

_MAX_TOKENS = 1_000_000_000
_MAX_PAYLOAD_BYTES = 256 * 1024 * 1024  # a stream of 200 MB is one of our memory measurements
_MAX_DELAY_MS = 600_000
_MAX_DIGITS = 10
_MAX_TOOLS = 16
_MAX_CALLS = 1_000_000
_TOOL_NAME = pattern(r"[a-zA-Z0-9_-]{1,64}")
_ERROR_CODE = pattern(r"[a-zA-Z0-9_.-]{1,128}")

_BOUNDS: Final = MappingProxyType(
    {
        "deltas": (1, 1_000_000),
        "delta_chars": (1, 1024 * 1024),
        "first_call": (0, _MAX_CALLS),
        "usage_in": (0, _MAX_TOKENS),
        "usage_out": (0, _MAX_TOKENS),
        "cached": (0, _MAX_TOKENS),
        "cache_write": (0, _MAX_TOKENS),
        "bytes": (1, 64 * 1024 * 1024),
        "status": (200, 599),
        "retry_after": (0, 86_400),
        "fail_after": (0, 1_000_000),
        "delay_head_ms": (0, _MAX_DELAY_MS),
        "delay_first_ms": (0, _MAX_DELAY_MS),
        "delay_frame_ms": (0, _MAX_DELAY_MS),
        "cut_at": (0, _MAX_PAYLOAD_BYTES),
        "reset_at": (0, _MAX_PAYLOAD_BYTES),
        "stall_at": (0, _MAX_PAYLOAD_BYTES),
        "split": (1, _MAX_PAYLOAD_BYTES),
    }
)


def _check_words(script: Script) -> None:
    """Refuse words that no dialect could say."""
    if len(script.tools) > _MAX_TOOLS or not all(_TOOL_NAME.fullmatch(name) for name in script.tools):
        raise BadKnob("tools", f"must be at most {_MAX_TOOLS} names of letters, digits, '_' and '-'")
    if script.error_code is not None and not _ERROR_CODE.fullmatch(script.error_code):
        raise BadKnob("error_code", "must be letters, digits, '_', '.' and '-'")  # Bedrock sends it as a header
    try:
        given = orjson.loads(script.args)
    except orjson.JSONDecodeError:
        given = None
    each = given if isinstance(given, list) and len(given) == len(script.tools) else [given]
    if not all(isinstance(one, dict) for one in each):
        raise BadKnob("args", "must be a JSON object, or a list with one for each tool")


def _check_combination(script: Script) -> None:
    """Refuse knobs that contradict each other."""
    if script.deltas is not None and script.deltas * script.delta_chars > _MAX_PAYLOAD_BYTES:
        raise BadKnob("deltas", f"times delta_chars must not exceed {_MAX_PAYLOAD_BYTES}")
    if script.deltas is not None and script.body_bytes is not None:
        raise BadKnob("bytes", "cannot be combined with deltas")
    if script.usage_in is not None and (script.cached or 0) + (script.cache_write or 0) > script.usage_in:
        raise BadKnob("cached", "and cache_write together exceed usage_in")
    if sum(end is not None for end in (script.cut_at, script.reset_at, script.stall_at)) > 1:
        raise BadKnob("cut_at", "cannot be combined with reset_at or stall_at, nor these with each other")


def parse_knobs(header: bytes, base: Script | None = None) -> Script:
    """Return `base` with the knobs of an `x-mock` header laid over it."""
    fields: dict[str, Any] = {}
    try:
        items = header.decode().split(";")
    except UnicodeDecodeError as error:
        raise BadKnob("x-mock", "is not UTF-8") from error
    for item in items:
        if not item.strip():
            continue
        knob, equals, value = (part.strip() for part in item.partition("="))
        read = _READERS.get(knob)
        if read is None:
            raise BadKnob(knob, "is no knob")
        if not equals:
            raise BadKnob(knob, "needs a value")
        field = _FIELD_OF.get(knob, knob)
        if field in fields:
            raise BadKnob(knob, "is given twice")
        fields[field] = read(knob, value)
    return replace(base or Script(), **fields)


def _read_number(knob: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= _MAX_DIGITS):
        raise BadKnob(knob, "must be a plain number")
    return int(value)


def _read_switch(knob: str, value: str) -> bool:
    if value not in {"0", "1"}:
        raise BadKnob(knob, "must be 0 or 1")
    return value == "1"


def _read_words(knob: str, value: str) -> str:
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError as error:
        raise BadKnob(knob, "is not percent-encoded UTF-8") from error


def _read_names(_knob: str, value: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in value.split(","))


def _read_stop(knob: str, value: str) -> Stop:
    try:
        return Stop(value)
    except ValueError:
        raise BadKnob(knob, f"must be one of {', '.join(Stop)}") from None


_SWITCHES: Final = ("thinking", "redacted", "should_retry", "refuse", "garbage", "keepalive", "late_length")

_READERS: Final[MappingProxyType[str, Callable[[str, str], object]]] = MappingProxyType(
    {
        **dict.fromkeys(_BOUNDS, _read_number),
        **dict.fromkeys(_SWITCHES, _read_switch),
        **dict.fromkeys(("text", "args", "thought", "signature", "stop_raw", "error", "error_code"), _read_words),
        "tools": _read_names,
        "stop": _read_stop,
    }
)
