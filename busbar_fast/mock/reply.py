"""The finished reply of the mock backend, and the error it may consist of."""

from dataclasses import dataclass

from busbar_fast.mock.script import Script


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer without its framing.

    `headers` is a block of `Name: value` lines without Date and without any framing header. `frames` are the payload
    pieces as the vendor writes them: one for a JSON answer, one per event for a stream. `script` is what
    `schedule` needs to play it.
    """

    status: int
    headers: bytes
    frames: list[bytes]
    is_stream: bool
    script: Script


@dataclass(frozen=True, slots=True)
class Fault:
    """One error in neutral terms: the status carries its class, `code` overrides the dialect's own word for it."""

    status: int
    message: str
    code: str | None = None
    param: str | None = None
    retry_after_s: int | None = None
    should_retry: bool | None = None
