"""What a client asks for by path, and how a lane of this dialect is asked in turn.

The path says everything: the model in one segment, decoded once, so that an escaped slash of an ARN separates nothing,
and the operation behind it. Nothing is said in a query. Signing is not done here: whoever writes the request signs it,
which is why a key of two parts makes no header. This module knows no body and no connection; what needs a JSON encoder
is imported when the first such answer is written. The gateway calls `DIALECT`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from busbar_fast.dialects.asks import Ask, Operation
from busbar_fast.dialects.dialect import Dialect, Ending, Refusal, StreamFault, Watch
from busbar_fast.dialects.faults import Fault
from busbar_fast.dialects.minting import uuid4
from busbar_fast.dialects.paths import decode_segment
from busbar_fast.wire.heads import Fields

if TYPE_CHECKING:
    from busbar_fast.dialects.body_facts import BodyFacts
    from busbar_fast.dialects.upstream_errors import UpstreamError

_START: Final = b"/model/"
# Ways of another vendor to name a pool or a provider, which may be called `model`.
_FOREIGN_ENDS: Final[tuple[bytes, ...]] = (b"/v1/messages", b"/v1/messages/count_tokens")
_OPERATIONS: Final = {
    b"converse": (Operation.CONVERSE, False),
    b"converse-stream": (Operation.CONVERSE, True),
    b"count-tokens": (Operation.COUNT_TOKENS, False),
}
_WHOLE: Final = "/converse"
_STREAMED: Final = "/converse-stream"
_COUNTED: Final = "/count-tokens"
# In the names of models that make vectors of texts; all others talk.
_EMBEDDING: Final[tuple[str, ...]] = ("titan-embed-text", "titan-embed-g1-text", "cohere.embed-")
_BEARER: Final = "Authorization: Bearer "


class _Bedrock(Dialect):
    """The dialect as the gateway asks for it."""

    id_field = b"x-amzn-requestid"
    ping = b'{"messages":[{"role":"user","content":[{"text":"ping"}]}],"inferenceConfig":{"maxTokens":1}}'
    kept_words: tuple[bytes, ...] = (b'"guardrailConfig"', b'"guardContent"')
    loop_words: tuple[bytes, ...] = (b'"tooluse_bb', b'"budget_tokens"')
    relayed: tuple[bytes, ...] = (b"content-type", b"retry-after", b"x-amz-retry-after", b"x-amzn-errortype")
    # Beside it bodies in the words of a model's maker are counted.
    counted_at: tuple[tuple[bytes, ...], ...] = ((b"input", b"converse"),)
    has_model_in_body = False
    needs_model_in_body = False
    aws_service = b"bedrock"
    embed_action = "invoke"
    span_names: tuple[str, str] | None = ("bedrock_converse", "bedrock_converse_stream")

    def claim(self, path: bytes, query: bytes, fields: Fields) -> Ask | None:  # noqa: ARG002  the path says it all
        """Claim everything below `/model/` but what another vendor's clients put there."""
        if not path.startswith(_START) or path.endswith(_FOREIGN_ENDS):
            return None
        raw_name, _, raw_operation = path[len(_START) :].partition(b"/")
        found = _OPERATIONS.get(raw_operation)
        name = None if found is None else decode_segment(raw_name)
        word = raw_operation.decode("latin-1")
        if found is None or not name:
            return Ask(self, Operation.NOTHING, word=word)
        operation, in_stream = found
        return Ask(self, operation, name=name, in_stream=in_stream, word=word)

    def upstream_path(self, path: str, ask: Ask, *, in_stream: bool) -> str:
        """Return the path with the operation in place; an operator's path that names none of ours is left as it is.

        Only some models make vectors, and an operator's path has no place for them.
        """
        place, question_mark, query = path.partition("?")
        operation = _STREAMED if in_stream else _COUNTED if ask.operation is Operation.COUNT_TOKENS else _WHOLE
        if ask.action:
            operation = "/" + ask.action
        for written in (_WHOLE, _STREAMED):
            if place.endswith(written):
                front = place.removesuffix(written)
                if ask.action and not any(word in front.rpartition("/")[2] for word in _EMBEDDING):
                    return ""
                return front + operation + question_mark + query
        return "" if ask.action else path

    def credential(self, style: str, key: str, *, is_callers: bool = False) -> bytes:
        """Return one header line; none for a pair of access key and secret, which signs instead of being sent."""
        key = key.strip()
        if not key or not key.isascii() or not key.isprintable():
            return b""
        if not style and not is_callers and ":" in key:
            return b""
        return f"{_BEARER if style in ('', 'bearer') else style + ': '}{key}\r\n".encode()

    def upstream_fields(self, options: Mapping[str, str | bool], *, in_stream: bool) -> bytes:  # noqa: ARG002  of signing
        """Return what is accepted."""
        return b"Accept: application/vnd.amazon.eventstream\r\n" if in_stream else b"Accept: application/json\r\n"

    def request_facts(self, body: bytes) -> "BodyFacts":
        from busbar_fast.dialects.bedrock.body_facts import request_facts  # noqa: PLC0415  the decoder costs 13 ms

        return request_facts(body)

    def encode_fault(self, fault: Fault, ask: Ask | None, raw_id: bytes) -> Refusal:
        """Return a refusal, its name and its id in the head."""
        from busbar_fast.dialects.bedrock.faults import encode_fault  # noqa: PLC0415  the encoder costs 13 ms

        return encode_fault(fault, ask, raw_id)

    def read_error(self, status: int, fields: Fields, body: bytes, epoch_s: float) -> "UpstreamError":
        from busbar_fast.dialects.bedrock import errors  # noqa: PLC0415  most answers are no errors

        return errors.read_error(status, fields, body, epoch_s)

    def encode_models(self, names: list[str], created_s: int) -> bytes:  # noqa: ARG002  not told in this dialect
        """Return the list."""
        from busbar_fast.dialects.bedrock.models import encode_models  # noqa: PLC0415  the encoder costs 13 ms

        return encode_models(names)

    def encode_model(self, name: str, created_s: int) -> bytes:  # noqa: ARG002  not told in this dialect
        """Return one entry of the list."""
        from busbar_fast.dialects.bedrock.models import encode_model  # noqa: PLC0415  the encoder costs 13 ms

        return encode_model(name)

    def new_watch(self, content_type: bytes) -> Watch:
        """Return a tap for frames or for one document."""
        from busbar_fast.dialects.bedrock.watch import new_watch  # noqa: PLC0415  nothing to count before an answer

        return new_watch(content_type)

    def read_fault(self, fault: StreamFault, epoch_s: float) -> "UpstreamError":
        return self.read_error(200, {b"x-amzn-errortype": fault.name.encode()}, fault.payload, epoch_s)

    def new_ending(self, ask: Ask) -> Ending:  # noqa: ARG002  one frame only
        from busbar_fast.dialects.bedrock import endings  # noqa: PLC0415  its JSON writer is slow to import

        return endings.FrameEnding()

    def new_id(self) -> bytes:
        """Return a random UUID, version 4."""
        return uuid4().encode()


DIALECT: Final = _Bedrock()
