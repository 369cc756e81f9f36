"""The bytes every measurement moves: one request, one JSON answer, one stream of 67 frames.

Fixed sizes (86 bytes in, 235 bytes out, 64 deltas of 16 characters) make runs comparable across months and machines.
This module knows no socket and no side; the upstream sends these bytes and the load generators demand them back.
"""

import re
from dataclasses import dataclass
from typing import Final

PATH: Final = "/v1/chat/completions"
MODEL: Final = "gpt-4o"
TOKEN: Final = "client-token"  # noqa: S105  a made-up token of the benchmark, not a secret

REQUEST: Final = b'{"model":"gpt-4o","messages":[{"role":"user","content":"Say hello to the new day!!"}]}'
REPLY: Final = (
    b'{"id":"c-1","object":"chat.completion","created":1,"model":"gpt-4o","choices":[{"index":0,'
    b'"message":{"role":"assistant","content":"Hi, all!"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":9,"completion_tokens":8,"total_tokens":17}}'
)

DELTAS: Final = 64
DELTA_CHARS: Final = 16
FRAME_COUNT: Final = DELTAS + 3  # the role first; the finish reason and [DONE] last
STREAM_MARK: Final = b'"stream":true'
PACE_MARK: Final = b"perf-pace-ms="
GAP_MARK: Final = b"perf-gap-ms="
BYTES_MARK: Final = b"perf-bytes="
REPLY_MARK: Final = b"perf-reply="

_DELTA: Final = re.compile(rb'"content": ?"token (\d{9}) "')
_CHUNK: Final = (
    b'data: {"id":"c-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o",'
    b'"choices":[{"index":0,"delta":%s,"finish_reason":%s}]}\n\n'
)


_SAID: Final = b"Hi, all!"


@dataclass(frozen=True, slots=True)
class Payload:
    """What a request carries and an answer says, where it is more than the usual few words."""

    name: str
    title: str
    prompt_bytes: int = 0
    image_bytes: int = 0  # before they are written in base64
    reply_bytes: int = 0

    @property
    def added_kib(self) -> float:
        """How much more passes through than usual."""
        return (self.prompt_bytes + self.image_bytes * 4 / 3 + self.reply_bytes) / 1024

    def reply(self) -> bytes:
        """Return the answer that is due."""
        return long_reply(self.reply_bytes) if self.reply_bytes else REPLY


USUAL: Final = Payload("usual", "the usual few words")
PAYLOADS: Final = (
    Payload("prompt16k", "prompt of 16 KB", prompt_bytes=16 * 1024),
    Payload("prompt150k", "prompt of 150 KB", prompt_bytes=150 * 1024),
    Payload("image1m", "picture of 1 MB, in base64", image_bytes=1024 * 1024),
    Payload("reply10k", "answer of 10 KB", reply_bytes=10 * 1024),
)


def long_reply(size: int) -> bytes:
    """Return the JSON answer with a text of so many bytes, lines and quotation marks in it."""
    line = b'Say \\"hello\\" to the new day!!\\n'
    return REPLY.replace(_SAID, (line * (size // len(line))).ljust(size, b"."))


def stream_request(*, pace_ms: int = 0, gap_ms: int = 0, total_bytes: int = 0) -> bytes:
    """Return a request for a stream.

    What the upstream should do travels in the ordinary `user` member, so that any gateway passes it on, whatever it
    makes of the path, the model or unknown members.
    """
    wish = b""
    if pace_ms:
        wish = b',"user":"%s%d"' % (PACE_MARK, pace_ms)
    elif gap_ms:
        wish = b',"user":"%s%d"' % (GAP_MARK, gap_ms)
    elif total_bytes:
        wish = b',"user":"%s%d"' % (BYTES_MARK, total_bytes)
    return REQUEST[:-1] + b"," + STREAM_MARK + wish + b"}"


def stream_frames() -> tuple[bytes, ...]:
    """Return the 67 SSE frames in order."""
    opening = _CHUNK % (b'{"role":"assistant","content":""}', b"null")
    deltas = (_CHUNK % (b'{"content":"token %09d "}' % number, b"null") for number in range(DELTAS))
    closing = _CHUNK % (b"{}", b'"stop"')
    return (opening, *deltas, closing, b"data: [DONE]\n\n")


def holds_reply(payload: bytes) -> bool:
    """Whether an answer that was written anew says what the upstream said."""
    return b'"choices"' in payload and (_SAID in payload or b"to the new day!!" in payload)


def holds_stream(payload: bytes) -> bool:
    """Whether a stream that was written anew has every delta once, in order, and its end."""
    found = [int(number) for number in _DELTA.findall(payload)]
    return found == list(range(DELTAS)) and payload.rstrip().endswith(b"data: [DONE]")


def encode_call(port: int, body: bytes, *, token: str = TOKEN, fields: str = "") -> bytes:
    """Return the whole request, head and body, that every side receives; `fields` are more lines for its head."""
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n{fields}\r\n"
    )
    return head.encode() + body
