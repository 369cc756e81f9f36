"""The contract of a dialect module, and the event framing that several dialects share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from busbar_fast.mock.ask import Ask, Place
from busbar_fast.mock.content import Answer
from busbar_fast.mock.reply import Fault

JSON_TYPE = b"Content-Type: application/json\r\n"
SSE_TYPE = b"Content-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\n"
DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """One dialect as the mock backend speaks it.

    `encode_break` gives the frames of an error inside a stream of which the given frames were already written.
    `encode_count` answers the token-counting operation, where the vendor has one.
    """

    read: Callable[[Mapping[str, Any], Place], Ask]
    encode_body: Callable[[Answer], bytes]
    encode_stream: Callable[[Answer], list[bytes]]
    encode_fault: Callable[[Fault, Place], bytes]
    encode_break: Callable[[Answer, Fault, list[bytes]], list[bytes]]
    encode_count: Callable[[int], bytes] | None = None
    fault_headers: Callable[[Fault], bytes]
    answer_headers: bytes = b""
    stream_type: bytes = SSE_TYPE


def encode_event(name: str, document: Mapping[str, Any]) -> bytes:
    """Return one named server-sent event."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps(document))


def encode_line(document: Mapping[str, Any]) -> bytes:
    """Return one unnamed server-sent event."""
    return b"data: %b\n\n" % orjson.dumps(document)
