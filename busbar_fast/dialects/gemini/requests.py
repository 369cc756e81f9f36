"""What a client asks for by path and query, and how a lane of this dialect is asked in turn.

Paths and queries are read raw, so that an escaped slash or colon separates nothing. The model is what stands between a
prefix like `models/` and the last colon, the action what follows it. This module knows no body and no connection; what
needs a JSON encoder is imported when the first such answer is written. The gateway calls `DIALECT`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from busbar_fast.dialects.asks import Ask, Operation
from busbar_fast.dialects.dialect import Dialect, Ending, Refusal, Watch
from busbar_fast.dialects.faults import Fault
from busbar_fast.dialects.paths import decode_segment
from busbar_fast.wire.heads import Fields
from busbar_fast.wire.json_scan import Span, find_items, find_members, is_array, is_object

if TYPE_CHECKING:
    from busbar_fast.dialects.body_facts import BodyFacts
    from busbar_fast.dialects.gemini.stream import ArrayReframer
    from busbar_fast.dialects.upstream_errors import UpstreamError

# What follows the last colon: what is done, and whether the answer is a stream. The other methods of the vendor are
# known by name, because a colon alone does not make a path on shared ground ours: names of other vendors hold some.
_ACTIONS: Final[dict[bytes, tuple[Operation, bool | None]]] = {
    b"generateContent": (Operation.CONVERSE, False),
    b"streamGenerateContent": (Operation.CONVERSE, True),
    b"countTokens": (Operation.COUNT_TOKENS, False),
    b"embedContent": (Operation.EMBED, False),
    b"batchEmbedContents": (Operation.EMBED, False),
    b"predict": (Operation.OTHER, False),  # pictures
    b"batchGenerateContent": (Operation.NOTHING, None),
    b"generateAnswer": (Operation.NOTHING, None),
}
_OWN_VERSION: Final = b"v1beta"  # nobody else has paths below it
_VERSIONS: Final = frozenset((_OWN_VERSION, b"v1", b"v1alpha", b"v1beta1"))
_STARTS: Final[tuple[bytes, ...]] = (b"/v1", b"/models", b"/tunedModels/", b"/dynamic/", b"/publishers/")
_PREFIXES: Final[tuple[bytes, ...]] = (b"models/", b"tunedModels/", b"dynamic/", b"publishers/google/models/")

# Of the query: credentials, and what would make an answer that is no longer JSON or hides the usage. The vendor takes
# each of them also with a `$` in front.
_STAYS_HERE: Final = frozenset(("key", "access_token", "oauth_token", "alt", "callback", "fields"))
_AS_EVENTS: Final = "alt=sse"
_AS_JSON: Final = b"$alt=json"  # with or without numbers for enums

# What may hold a whole request inside one that counts its tokens, and what holds those of a batch.
_INNER_REQUESTS: Final[tuple[bytes, ...]] = (b"generateContentRequest", b"generate_content_request", b"requests")

_WHOLE: Final = ":generateContent"
_STREAMED: Final = ":streamGenerateContent"
_COUNTED: Final = ":countTokens"
_STYLES: Final = {"": "x-goog-api-key: ", "bearer": "Authorization: Bearer "}


class _Gemini(Dialect):
    """The dialect as the gateway asks for it."""

    has_key_in_query = True
    ping = b'{"contents":[{"role":"user","parts":[{"text":"ping"}]}],"generationConfig":{"maxOutputTokens":1}}'
    kept_words: tuple[bytes, ...] = (b'"cachedContent"', b'"cached_content"')
    counted_at: tuple[tuple[bytes, ...], ...] = ((b"generateContentRequest",), (b"generate_content_request",), ())
    needs_model_in_body = False
    before_model = "models/"
    embed_action = "batchEmbedContents"
    time_limit_field = b"x-server-timeout"

    def claim(self, path: bytes, query: bytes, fields: Fields) -> Ask | None:
        """Claim what lies below `/v1beta`, known actions on models anywhere, and lists that carry our key."""
        if not path.startswith(_STARTS):
            return None
        version, _, rest = path[1:].partition(b"/")
        if version not in _VERSIONS:
            version, rest = b"", path[1:]
        for prefix in _PREFIXES:
            if rest.startswith(prefix):
                return self._claim_model(version, rest[len(prefix) :], query, fields)
        if rest == b"models" and _is_ours(version, query, fields):
            return Ask(self, Operation.LIST_MODELS, word=version.decode())
        if version == _OWN_VERSION:
            return Ask(self, Operation.NOTHING, word=version.decode())
        return None

    def upstream_path(self, path: str, ask: Ask, *, in_stream: bool) -> str:
        """Return the path with the action in place; a stream is always asked for as events, whatever the client wants.

        An operator's path that names no action of ours is left as it is: it is good for conversations.
        """
        place, _, own_query = path.partition("?")
        action = _STREAMED if in_stream else _COUNTED if ask.operation is Operation.COUNT_TOKENS else _WHOLE
        if ask.action:
            action = ":" + ask.action
        for written in (_WHOLE, _STREAMED):
            if place.endswith(written):
                place = place.removesuffix(written) + action
                break
        else:
            if ask.action:
                return ""
        pairs = [_AS_EVENTS] if in_stream else []
        pairs += [pair for pair in own_query.split("&") if pair not in ("", _AS_EVENTS)]
        if ask.query and ask.dialect is self:
            pairs.append(ask.query.decode("latin-1"))
        return f"{place}?{'&'.join(pairs)}" if pairs else place

    def find_inner_models(self, body: bytes, ask: Ask) -> list[Span]:  # noqa: ARG002  no two use the same names
        """Return where requests inside this one name their model; either spelling of them is read."""
        spans: list[Span] = []
        for requests in find_members(body, _INNER_REQUESTS).values():
            for at in requests:
                for span in find_items(body, *at) if is_array(body, at) else [at]:
                    if is_object(body, span):
                        spans += find_members(body, (b"model",), *span).get(b"model", [])
        return spans

    def credential(self, style: str, key: str, *, is_callers: bool = False) -> bytes:  # noqa: ARG002  no difference here
        """Return one header line, never two, and never a query."""
        key = key.strip()
        if not key or not key.isascii() or not key.isprintable():
            return b""
        return f"{_STYLES.get(style) or style + ': '}{key}\r\n".encode()

    def upstream_fields(self, options: Mapping[str, str | bool], *, in_stream: bool) -> bytes:  # noqa: ARG002  has none
        """Return what is accepted."""
        return b"Accept: text/event-stream\r\n" if in_stream else b"Accept: application/json\r\n"

    def request_facts(self, body: bytes) -> "BodyFacts":
        from busbar_fast.dialects.gemini.body_facts import request_facts  # noqa: PLC0415  the decoder costs 13 ms

        return request_facts(body)

    def encode_fault(self, fault: Fault, ask: Ask | None, raw_id: bytes) -> Refusal:  # noqa: ARG002  answers carry no id
        """Return a refusal; who asked for an array gets one."""
        from busbar_fast.dialects.gemini.faults import encode_fault  # noqa: PLC0415  the encoder costs 13 ms

        return encode_fault(fault, ask)

    def read_error(self, status: int, fields: Fields, body: bytes, epoch_s: float) -> "UpstreamError":
        """Return what an answer says that is no success."""
        from busbar_fast.dialects.gemini import errors  # noqa: PLC0415  most answers are no errors

        return errors.read_error(status, fields, body, epoch_s)

    def encode_models(self, names: list[str], created_s: int) -> bytes:  # noqa: ARG002  not told in this dialect
        """Return the list."""
        from busbar_fast.dialects.gemini.models import encode_models  # noqa: PLC0415  the encoder costs 13 ms

        return encode_models(names)

    def encode_model(self, name: str, created_s: int) -> bytes:  # noqa: ARG002  not told in this dialect
        """Return one entry of the list."""
        from busbar_fast.dialects.gemini.models import encode_model  # noqa: PLC0415  the encoder costs 13 ms

        return encode_model(name)

    def new_watch(self, content_type: bytes) -> Watch:
        """Return a tap for events or for one document."""
        from busbar_fast.dialects.gemini.watch import new_watch  # noqa: PLC0415  nothing to count before an answer

        return new_watch(content_type)

    def new_ending(self, ask: Ask) -> Ending:
        """Return what ends a stream."""
        from busbar_fast.dialects.gemini import endings  # noqa: PLC0415  its JSON writer is slow to import

        return endings.ArrayEnding() if ask.in_array else endings.EventEnding()

    def new_reframer(self, ask: Ask) -> "ArrayReframer | None":
        """Return what turns the events of a stream into the array this client wants; None if it wants events."""
        if not ask.in_array:
            return None
        from busbar_fast.dialects.gemini.stream import ArrayReframer  # noqa: PLC0415  few clients want it

        return ArrayReframer()

    def _claim_model(self, version: bytes, rest: bytes, query: bytes, fields: Fields) -> Ask | None:
        """Claim a path whose rest is a name, mostly with an action behind it."""
        raw_name, _, raw_action = rest.rpartition(b":")
        found = _ACTIONS.get(raw_action)
        word = version.decode()
        if found is None:
            if not _is_ours(version, query, fields):
                return None
            name = decode_segment(rest)
            return Ask(self, Operation.SHOW_MODEL if name else Operation.NOTHING, name=name, word=word)
        operation, in_stream = found
        name = decode_segment(raw_name)
        return Ask(
            self,
            operation if name else Operation.NOTHING,
            name=name,
            in_stream=in_stream,
            in_array=in_stream is True and b"alt=sse" not in query.split(b"&"),
            query=_travelling(query, in_stream=in_stream is True),
            word=f"{word} {raw_action.decode()}",
        )


def _is_ours(version: bytes, query: bytes, fields: Fields) -> bool:
    """Say whether a list on this ground is asked for by one of our clients."""
    if version == _OWN_VERSION or fields.get(b"x-goog-api-key"):
        return True
    return b"key=" in query and any(pair.startswith(b"key=") and pair != b"key=" for pair in query.split(b"&"))


def _travelling(query: bytes, *, in_stream: bool) -> bytes:
    """Return what of a query goes on to the upstream."""
    if not query:
        return b""
    return b"&".join([pair for pair in query.split(b"&") if _is_travelling(pair, in_stream=in_stream)])


def _is_travelling(pair: bytes, *, in_stream: bool) -> bool:
    name = decode_segment(pair.partition(b"=")[0])
    if not name:
        return False
    return name.removeprefix("$") not in _STAYS_HERE or (pair.startswith(_AS_JSON) and not in_stream)


DIALECT: Final = _Gemini()
