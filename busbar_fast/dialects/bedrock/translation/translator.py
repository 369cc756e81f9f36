"""The readers and writers of the dialect as one translator."""

from typing import Final

from busbar_fast.dialects.asks import Ask
from busbar_fast.dialects.bedrock.translation.abilities import ABILITIES
from busbar_fast.dialects.bedrock.translation.answer_reader import read_answer
from busbar_fast.dialects.bedrock.translation.answer_writer import write_answer
from busbar_fast.dialects.bedrock.translation.request_reader import read_request
from busbar_fast.dialects.bedrock.translation.request_writer import write_request
from busbar_fast.dialects.bedrock.translation.stream_reader import StreamReader
from busbar_fast.dialects.bedrock.translation.stream_writer import Writer
from busbar_fast.dialects.spelling import Spelling
from busbar_fast.dialects.translator import Recipient, Reply, Translator
from busbar_fast.ir.answers import Answer
from busbar_fast.ir.events import Sink
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import Request


class _Translator(Translator):
    """See the module."""

    abilities = ABILITIES

    def read_request(self, body: bytes, ask: Ask, report: Report) -> Request:
        return read_request(body, ask, report)

    def write_request(self, request: Request, recipient: Recipient, report: Report) -> bytes:
        return write_request(request, recipient, report)

    def read_answer(self, body: bytes, report: Report) -> Answer:  # noqa: ARG002  nothing is lost here
        return read_answer(body)

    def write_answer(self, answer: Answer, reply: Reply, report: Report) -> bytes:
        return write_answer(answer, reply, report)

    def new_reader(self, sink: Sink, report: Report) -> StreamReader:
        return StreamReader(sink, report)

    def new_writer(self, reply: Reply, report: Report) -> Writer:
        return Writer(reply, report, Spelling(ABILITIES))

    def stream_type(self, ask: Ask) -> bytes:  # noqa: ARG002  there is one
        return b"application/vnd.amazon.eventstream"


TRANSLATOR: Final = _Translator()
