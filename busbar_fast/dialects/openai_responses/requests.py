"""Routes of the Responses dialect: answers can be asked for, kept ones cannot. Knows neither bodies nor answers."""

from typing import TYPE_CHECKING, Final

from busbar_fast.dialects.asks import Ask, Operation
from busbar_fast.dialects.dialect import Ending, Refusal, Watch
from busbar_fast.dialects.faults import Fault
from busbar_fast.dialects.openai_responses.faults import refuse
from busbar_fast.dialects.openai_shared import OpenAIDialect
from busbar_fast.wire.heads import Fields

if TYPE_CHECKING:
    from busbar_fast.dialects.body_facts import BodyFacts
    from busbar_fast.dialects.upstream_errors import UpstreamError

_KEPT: Final[tuple[bytes, ...]] = (b"/v1/responses/", b"/responses/")


class OpenAIResponses(OpenAIDialect):
    """The Responses API. The SDK appends `/responses` to a base URL that may or may not end in `/v1`."""

    ping = b'{"input":"ping","max_output_tokens":16}'  # fewer are refused
    kept_words: tuple[bytes, ...] = (
        b'"previous_response_id"',
        b'"conversation"',
        b'"prompt"',
        b'"background"',
        b'"item_reference"',
    )

    def __init__(self) -> None:
        converse = Ask(self, Operation.CONVERSE)
        self._nothing = Ask(self, Operation.NOTHING)
        self._asks = {b"/v1/responses": converse, b"/responses": converse}

    def claim(self, path: bytes, query: bytes, fields: Fields) -> Ask | None:  # noqa: ARG002  neither says anything
        ask = self._asks.get(path)
        if ask is None and path.startswith(_KEPT):
            return self._nothing
        return ask

    def request_facts(self, body: bytes) -> "BodyFacts":
        from busbar_fast.dialects.openai_responses.body_facts import request_facts  # noqa: PLC0415  the decoder costs 13 ms

        return request_facts(body)

    def encode_fault(self, fault: Fault, ask: Ask | None, raw_id: bytes) -> Refusal:
        return refuse(fault, ask, raw_id)

    def read_error(self, status: int, fields: Fields, body: bytes, epoch_s: float) -> "UpstreamError":
        from busbar_fast.dialects.openai_responses import errors  # noqa: PLC0415  most answers are no errors

        return errors.read_error(status, fields, body, epoch_s)

    def new_watch(self, content_type: bytes) -> Watch:
        from busbar_fast.dialects.openai_responses.watch import new_watch  # noqa: PLC0415  nothing to count before an answer

        return new_watch(content_type)

    def new_ending(self, ask: Ask) -> Ending:  # noqa: ARG002  one frame only
        from busbar_fast.dialects.openai_responses import endings  # noqa: PLC0415  its JSON writer is slow to import

        return endings.EventEnding()


DIALECT: Final = OpenAIResponses()
