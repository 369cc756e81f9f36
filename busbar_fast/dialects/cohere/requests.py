"""The dialect as the gateway asks for it: which paths are its own, and how a request to a lane is addressed.

It must not know where a request goes or what its body says. What costs an import (refusals, lists of models) waits in
modules beside this one until it is needed; taps are in `usage`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from busbar_fast.dialects.asks import Ask, Operation
from busbar_fast.dialects.dialect import Dialect, Ending, Refusal, Watch
from busbar_fast.dialects.faults import Fault
from busbar_fast.dialects.paths import claim_models, replace_action, with_query, without_key
from busbar_fast.wire.heads import Fields

if TYPE_CHECKING:
    from busbar_fast.dialects.body_facts import BodyFacts
    from busbar_fast.dialects.upstream_errors import UpstreamError

_CHAT: Final = b"/v2/chat"
_FAMILY: Final = b"/v2/"
_USUAL: Final = "/chat"
_EMBED: Final = "embed"
_OTHERS: Final = {b"/v2/embed": (Operation.EMBED, _EMBED), b"/v2/rerank": (Operation.OTHER, "rerank")}
_MODELS: Final = b"/v1/models"
# Of the first version of the API, what no other vendor calls by these names.
_OLD_CHAT: Final = b"/v1/chat"
_OLD: Final = frozenset(
    b"/v1/" + word
    for word in (
        b"check-api-key",
        b"classify",
        b"connectors",
        b"datasets",
        b"detokenize",
        b"embed",
        b"embed-jobs",
        b"generate",
        b"rerank",
        b"summarize",
        b"tokenize",
    )
) | {_OLD_CHAT}

_PRODUCT: Final = b"cohere"
_AGENT: Final = b"cohere/"
_STYLES: Final = {"bearer": b"Authorization: Bearer ", "api-key": b"api-key: ", "x-api-key": b"x-api-key: "}


class Cohere(Dialect):
    """Cohere's chat API, version 2. Of what a client says of itself, the name that its user chose travels on."""

    forwarded: tuple[bytes, ...] = (b"x-client-name",)
    keepalive = b": keepalive\n\n"
    embed_action = _EMBED

    ping = b'{"max_tokens":1,"messages":[{"role":"user","content":"ping"}]}'

    def claim(self, path: bytes, query: bytes, fields: Fields) -> Ask | None:
        """Return what is asked for; the rest of the vendor's API is ours too, but offers nothing.

        The list of models stands on a path that several vendors share; this vendor's SDK is known by its name.
        """
        if path == _CHAT:
            return Ask(self, Operation.CONVERSE, query=without_key(query))
        if path in _OTHERS:
            operation, word = _OTHERS[path]
            return Ask(self, operation, in_stream=False, query=without_key(query), word=word)
        if path.startswith(_FAMILY) or path.endswith(_CHAT) or path in _OLD:
            return self._claim_nothing()
        if path.startswith(_MODELS) and _is_from_sdk(fields):
            return claim_models(self, path[len(_MODELS) :])
        return None

    def _claim_nothing(self) -> Ask:
        return Ask(self, Operation.NOTHING)

    def upstream_path(self, path: str, ask: Ask, *, in_stream: bool) -> str:  # noqa: ARG002  the body says it
        """Return the path of a lane, with the query of the client behind the lane's own; the lane's members win."""
        if ask.action:
            path = replace_action(path, _USUAL, "/" + ask.action)
        return with_query(path, ask.query) if path else ""

    def credential(self, style: str, key: str, *, is_callers: bool = False) -> bytes:  # noqa: ARG002
        """Return the line for a key, whoever it belongs to; in the style asked for, else as a bearer token."""
        if not key.strip(" \t") or not key.isascii() or not key.replace("\t", " ").isprintable():
            return b""
        return b"%b%b\r\n" % (_STYLES[style or "bearer"], key.encode("ascii"))

    def upstream_fields(self, options: Mapping[str, str | bool], *, in_stream: bool) -> bytes:  # noqa: ARG002
        """Return what is accepted."""
        return b"Accept: text/event-stream\r\n" if in_stream else b"Accept: application/json\r\n"

    def request_facts(self, body: bytes) -> "BodyFacts":
        from busbar_fast.dialects.cohere.body_facts import request_facts  # noqa: PLC0415  the decoder costs 13 ms

        return request_facts(body)

    def encode_fault(self, fault: Fault, ask: Ask | None, raw_id: bytes) -> Refusal:  # noqa: ARG002
        from busbar_fast.dialects.cohere import faults  # noqa: PLC0415  its JSON writer is slow to import

        return faults.encode_fault(fault)

    def read_error(self, status: int, fields: Fields, body: bytes, epoch_s: float) -> "UpstreamError":
        from busbar_fast.dialects.cohere import errors  # noqa: PLC0415  most answers are no errors

        return errors.read_error(status, fields, body, epoch_s)

    def encode_models(self, names: list[str], created_s: int) -> bytes:  # noqa: ARG002  the vendor shows no time
        from busbar_fast.dialects.cohere import models  # noqa: PLC0415  its JSON writer is slow to import

        return models.encode_models(names)

    def encode_model(self, name: str, created_s: int) -> bytes:  # noqa: ARG002  the vendor shows no time
        from busbar_fast.dialects.cohere import models  # noqa: PLC0415  its JSON writer is slow to import

        return models.encode_model(name)

    def new_watch(self, content_type: bytes) -> Watch:
        from busbar_fast.dialects.cohere.watch import new_watch  # noqa: PLC0415  nothing to count before an answer

        return new_watch(content_type)

    def new_ending(self, ask: Ask) -> Ending:  # noqa: ARG002  one frame only
        from busbar_fast.dialects.cohere import endings  # noqa: PLC0415  its JSON writer is slow to import

        return endings.EventEnding()


def _is_from_sdk(fields: Fields) -> bool:
    """Say whether the vendor's own SDK asks, by the name it gives itself or as a product of the user agent."""
    if fields.get(b"x-fern-sdk-name", b"").lower() == _PRODUCT:
        return True
    return any(product.startswith(_AGENT) for product in fields.get(b"user-agent", b"").lower().split())


DIALECT: Final = Cohere()
