"""The dialect as the gateway asks for it: which paths are its own, and how a request to a lane is addressed.

It must not know where a request goes or what its body says. What costs an import (refusals, lists of models) waits in
modules beside this one until it is needed; taps are in `usage`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from busbar_fast.dialects.asks import Ask, Operation
from busbar_fast.dialects.dialect import Dialect, Ending, Refusal, Watch
from busbar_fast.dialects.faults import Fault
from busbar_fast.dialects.minting import BASE58
from busbar_fast.dialects.paths import claim_models, decode_segment, with_query, without_key
from busbar_fast.dialects.registry import DIALECTS
from busbar_fast.wire.heads import Fields

if TYPE_CHECKING:
    from busbar_fast.dialects.body_facts import BodyFacts
    from busbar_fast.dialects.upstream_errors import UpstreamError

_MESSAGES: Final = b"/v1/messages"
_COUNT_TOKENS: Final = b"/v1/messages/count_tokens"
_BELOW: Final = b"/v1/messages/"
_MODELS: Final = b"/v1/models"

_VERSION: Final = b"anthropic-version"
_VERSION_OPTION: Final = "anthropic_version"

_LIMITED: Final[tuple[str, ...]] = ("requests", "tokens", "input-tokens", "output-tokens")
_RATE_LIMITS: Final = tuple(
    f"anthropic-ratelimit-{thing}-{fact}".encode() for thing in _LIMITED for fact in ("limit", "remaining", "reset")
)
_RELAYED: Final[tuple[bytes, ...]] = (
    b"content-type",
    b"retry-after",
    b"retry-after-ms",
    b"x-should-retry",
    *_RATE_LIMITS,
)

_STYLES: Final = {"bearer": b"Authorization: Bearer ", "api-key": b"api-key: ", "x-api-key": b"x-api-key: "}
_API_KEY: Final = "sk-ant-api"
_OAUTH_TOKEN: Final = "sk-ant-oat"  # noqa: S105  what such tokens begin with
_OAUTH_BETA: Final = b"anthropic-beta: oauth-2025-04-20\r\n"

_ID_CHARACTERS: Final = 22  # behind a prefix and `01`


class Anthropic(Dialect):
    """Anthropic's Messages API."""

    id_field = b"request-id"
    keepalive = b'event: ping\ndata: {"type": "ping"}\n\n'
    keepalive_s = 15.0
    forwarded: tuple[bytes, ...] = (b"anthropic-beta", b"anthropic-user-profile-id", b"anthropic-workspace-id")
    ping = b'{"max_tokens":1,"messages":[{"role":"user","content":"ping"}]}'
    relayed: tuple[bytes, ...] = _RELAYED
    says_when_at_any_status = True
    loop_words: tuple[bytes, ...] = (b'"toolu_bb', b'"budget_tokens"')

    def claim(self, path: bytes, query: bytes, fields: Fields) -> Ask | None:
        """Return what is asked for; every path that ends in `/v1/messages` or goes on behind it is ours.

        The list of models stands on a path that several vendors share; who names a version of this API means ours.
        """
        if path == _MESSAGES:
            return Ask(self, Operation.CONVERSE, query=without_key(query))
        if path.endswith(_MESSAGES):
            return self._claim_named(path[: -len(_MESSAGES)], Operation.CONVERSE, query)
        if path.endswith(_COUNT_TOKENS):
            return self._claim_named(path[: -len(_COUNT_TOKENS)], Operation.COUNT_TOKENS, query)
        if _BELOW in path:
            return self._claim_nothing()
        if path.startswith(_MODELS) and _VERSION in fields:
            return claim_models(self, path[len(_MODELS) :])
        return None

    def _claim_named(self, front: bytes, operation: Operation, query: bytes) -> Ask:
        """Return what a path asks for that has a name, or a provider and a name, in front of the usual one."""
        names = [decode_segment(segment) for segment in front.split(b"/")[1:]]
        if len(names) > 2 or not all(names):
            return self._claim_nothing()
        return Ask(
            self,
            operation,
            name=names[-1] if names else None,
            provider=names[0] if len(names) == 2 else None,
            in_stream=False if operation is Operation.COUNT_TOKENS else None,
            query=without_key(query),
        )

    def _claim_nothing(self) -> Ask:
        return Ask(self, Operation.NOTHING)

    def upstream_path(self, path: str, ask: Ask, *, in_stream: bool) -> str:  # noqa: ARG002  the body says it
        """Return the path of a lane, with the query of the client behind the lane's own; the lane's members win."""
        front, _, query = path.partition("?")
        if ask.operation is Operation.COUNT_TOKENS:
            front += "/count_tokens"
        return with_query(f"{front}?{query}" if query else front, ask.query)

    def credential(self, style: str, key: str, *, is_callers: bool = False) -> bytes:
        """Return the line for a key: in the style asked for, else as the key begins.

        A key that begins like none of the vendor's is shown as one where it is ours, and as a token where it is a
        caller's own.
        """
        bare = key.lstrip(" \t")
        if not bare or not bare.isascii() or not bare.replace("\t", " ").isprintable():
            return b""
        if bare.startswith(_API_KEY):
            key, usual = bare, "x-api-key"
        elif is_callers or bare.startswith(_OAUTH_TOKEN):
            usual = "bearer"
        else:
            usual = "x-api-key"
        return b"%b%b\r\n" % (_STYLES[style or usual], key.encode("ascii"))

    def needed_betas(self, key: str) -> bytes:
        """Return the header line that has to go with a key: OAuth tokens are refused without theirs.

        The field is a list, so the line may stand beside another one that a client sent.
        """
        return _OAUTH_BETA if key.lstrip(" \t").startswith(_OAUTH_TOKEN) else b""

    def upstream_fields(self, options: Mapping[str, str | bool], *, in_stream: bool) -> bytes:  # noqa: ARG002
        """Return what is accepted, the same for streams; the version depends on the client, see below."""
        return b"Accept: application/json\r\n"

    def forwarded_fields(self, fields: Fields, options: Mapping[str, str | bool]) -> bytes:
        """Return the version and what else travels on; the provider's version serves a client that names none."""
        version = fields.get(_VERSION)
        if not version:
            default = DIALECTS["anthropic"].provider_options[_VERSION_OPTION]
            version = str(options.get(_VERSION_OPTION, default)).encode()
        return b"%b: %b\r\n%b" % (_VERSION, version, super().forwarded_fields(fields, options))

    def request_facts(self, body: bytes) -> "BodyFacts":
        from busbar_fast.dialects.anthropic.body_facts import request_facts  # noqa: PLC0415  the decoder costs 13 ms

        return request_facts(body)

    def encode_fault(self, fault: Fault, ask: Ask | None, raw_id: bytes) -> Refusal:  # noqa: ARG002
        from busbar_fast.dialects.anthropic import faults  # noqa: PLC0415  its JSON writer is slow to import

        return faults.encode_fault(fault, raw_id)

    def read_error(self, status: int, fields: Fields, body: bytes, epoch_s: float) -> "UpstreamError":
        from busbar_fast.dialects.anthropic import errors  # noqa: PLC0415  most answers are no errors

        return errors.read_error(status, fields, body, epoch_s)

    def encode_models(self, names: list[str], created_s: int) -> bytes:
        from busbar_fast.dialects.anthropic import models  # noqa: PLC0415  its JSON writer is slow to import

        return models.encode_models(names, created_s)

    def encode_model(self, name: str, created_s: int) -> bytes:
        from busbar_fast.dialects.anthropic import models  # noqa: PLC0415  its JSON writer is slow to import

        return models.encode_model(name, created_s)

    def new_watch(self, content_type: bytes) -> Watch:
        from busbar_fast.dialects.anthropic.watch import new_watch  # noqa: PLC0415  nothing to count before an answer

        return new_watch(content_type)

    def new_ending(self, ask: Ask) -> Ending:  # noqa: ARG002  one frame only
        from busbar_fast.dialects.anthropic import endings  # noqa: PLC0415  its JSON writer is slow to import

        return endings.EventEnding()

    def new_id(self) -> bytes:
        """Return an id as the vendor makes them: every character of it equally likely."""
        return b"req_01" + BASE58.take(_ID_CHARACTERS)


DIALECT: Final = Anthropic()
