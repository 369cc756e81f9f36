"""Records that a decoder fills: what of a chunk is needed, and of its counts.

The decoder makes their classes, so nothing here is compiled. Hot.
"""

from typing import Annotated

from msgspec import Meta, Raw, Struct

_Count = Annotated[int, Meta(ge=0)] | None


class Content(Struct, gc=False):
    """What a candidate adds."""

    parts: list[Raw] | None = None


class Candidate(Struct, gc=False, rename="camel"):
    """The answer, as far as a chunk tells it."""

    content: Content | None = None
    finish_reason: Raw = Raw()
    finish_message: Raw = Raw()
    logprobs_result: Raw = Raw()
    citation_metadata: Raw = Raw()
    grounding_metadata: Raw = Raw()


class Chunk(Struct, gc=False, rename="camel"):
    """One event."""

    candidates: list[Candidate] | None = None
    usage_metadata: Raw = Raw()
    model_version: Raw = Raw()
    prompt_feedback: Raw = Raw()
    error: Raw = Raw()


class TextPart(Struct, gc=False, rename="camel", forbid_unknown_fields=True):
    """What nearly all parts of a stream are."""

    text: str
    thought: bool | None = None
    thought_signature: str | None = None


class Told(Struct, gc=False, rename="camel"):
    """The counts, where each is what it should be; in the order in which `usages` names them."""

    prompt_token_count: _Count = None
    cached_content_token_count: _Count = None
    tool_use_prompt_token_count: _Count = None
    candidates_token_count: _Count = None
    thoughts_token_count: _Count = None
