"""Routes of the chat dialect, and of everything about models that no other dialect wants.

Has to be asked last: `/v1/models` and what lies below is claimed here without a look at the header fields, and other
dialects have the first say there. Knows neither bodies nor answers.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, ClassVar, Final

from busbar_fast.dialects.asks import Ask, Operation
from busbar_fast.dialects.dialect import Ending, Refusal, Watch
from busbar_fast.dialects.faults import Fault
from busbar_fast.dialects.openai_chat.faults import refuse
from busbar_fast.dialects.openai_shared import OpenAIDialect
from busbar_fast.dialects.paths import decode_segment, replace_action
from busbar_fast.errors import NotJson
from busbar_fast.wire.heads import Fields
from busbar_fast.wire.json_scan import Edit, Span
from busbar_fast.wire.viewing import Editor

if TYPE_CHECKING:
    from busbar_fast.dialects.body_facts import BodyFacts
    from busbar_fast.dialects.upstream_errors import UpstreamError

_BELOW_MODELS: Final[tuple[bytes, ...]] = (b"/v1/models/", b"/models/")
_CHAT: Final = "/chat/completions"
_EMBEDDINGS: Final = "embeddings"
_OTHERS: Final[tuple[str, ...]] = (
    "moderations",
    "images/generations",
    "images/edits",
    "images/variations",
    "audio/transcriptions",
    "audio/translations",
    "audio/speech",
)


class OpenAIChat(OpenAIDialect):
    """Chat completions. The SDK appends `/chat/completions` to a base URL that may or may not end in `/v1`."""

    usage_member = b"stream_options"
    plain_counts: ClassVar[tuple[bytes, ...]] = (
        b'"usage":{"prompt_tokens":',
        b',"completion_tokens":',
        b',"total_tokens":',
    )
    last_event = b"data: [DONE]\n\n"
    embed_action = _EMBEDDINGS
    ping = b'{"max_tokens":1,"messages":[{"role":"user","content":"ping"}]}'

    def __init__(self) -> None:
        converse = Ask(self, Operation.CONVERSE)
        models = Ask(self, Operation.LIST_MODELS)
        self._nothing = Ask(self, Operation.NOTHING)
        self._asks = {
            b"/v1/chat/completions": converse,
            b"/chat/completions": converse,
            b"/v1/models": models,
            b"/models": models,
        }
        for action in (_EMBEDDINGS, *_OTHERS):
            operation = Operation.EMBED if action == _EMBEDDINGS else Operation.OTHER
            other = Ask(self, operation, in_stream=False, word=action)
            self._asks[b"/v1/" + action.encode()] = self._asks[b"/" + action.encode()] = other

    def claim(self, path: bytes, query: bytes, fields: Fields) -> Ask | None:  # noqa: ARG002  neither says anything
        ask = self._asks.get(path)
        if ask is None and path.startswith(_BELOW_MODELS):
            return self._ask_for_model(path.partition(b"/models/")[2])
        return ask

    def upstream_path(self, path: str, ask: Ask, *, in_stream: bool) -> str:  # noqa: ARG002  the body says it
        return replace_action(path, _CHAT, "/" + ask.action) if ask.action else path

    def _ask_for_model(self, segment: bytes) -> Ask | None:
        """Return what a path asks for that ends in the name of a model."""
        if not segment or b"/" in segment:
            return None
        name = decode_segment(segment)
        return self._nothing if name is None else Ask(self, Operation.SHOW_MODEL, name=name)

    def request_facts(self, body: bytes) -> "BodyFacts":
        from busbar_fast.dialects.openai_chat.body_facts import request_facts  # noqa: PLC0415  the decoder costs 13 ms

        return request_facts(body)

    def encode_fault(self, fault: Fault, ask: Ask | None, raw_id: bytes) -> Refusal:
        return refuse(fault, ask, raw_id)

    def read_error(self, status: int, fields: Fields, body: bytes, epoch_s: float) -> "UpstreamError":
        from busbar_fast.dialects.openai_chat import errors  # noqa: PLC0415  most answers are no errors

        return errors.read_error(status, fields, body, epoch_s)

    def new_watch(self, content_type: bytes) -> Watch:
        return _watch_maker()(content_type)

    def ask_for_usage(self, body: bytes, spans: Sequence[Span]) -> Sequence[Edit] | None:
        from busbar_fast.dialects.openai_chat.stream import is_usage_wanted, usage_edits  # noqa: PLC0415  as above

        try:
            return None if is_usage_wanted(body, spans) else usage_edits(body, spans)
        except NotJson:
            return None  # options that nobody can read are for the back end to refuse

    def can_ask_for_usage(self, options: Mapping[str, str | bool]) -> bool:
        return options.get("stream_usage", True) is True

    def new_stripper(self) -> Editor:
        from busbar_fast.dialects.openai_chat.stream import UsageStripper  # noqa: PLC0415  as above

        return UsageStripper()

    def new_ending(self, ask: Ask) -> Ending:  # noqa: ARG002  one frame only
        from busbar_fast.dialects.openai_chat import endings  # noqa: PLC0415  its JSON writer is slow to import

        return endings.EventEnding()


DIALECT: Final = OpenAIChat()


@cache
def _watch_maker() -> Callable[[bytes], Watch]:
    # HOT: an import within a function costs 0.8 µs each time, perf/micro/bench_watch.py, CPython 3.11, 2026-11
    from busbar_fast.dialects.openai_chat.watch import new_watch  # noqa: PLC0415  nothing to count before an answer

    return new_watch
