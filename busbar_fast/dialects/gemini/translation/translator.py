"""The dialect as it is translated from and to."""

from typing import Final

from busbar_fast.dialects.asks import Ask
from busbar_fast.dialects.gemini.translation.abilities import ABILITIES
from busbar_fast.dialects.gemini.translation.answer_reader import read_answer
from busbar_fast.dialects.gemini.translation.answer_writer import write_answer
from busbar_fast.dialects.gemini.translation.request_reader import read_request
from busbar_fast.dialects.gemini.translation.request_writer import write_request
from busbar_fast.dialects.gemini.translation.stream_reader import Reader
from busbar_fast.dialects.gemini.translation.stream_writer import ArrayWriter, EventWriter
from busbar_fast.dialects.spelling import Spelling
from busbar_fast.dialects.stream_writer import StreamWriter
from busbar_fast.dialects.translator import Recipient, Reply, StreamReader, Translator
from busbar_fast.ir.answers import Answer
from busbar_fast.ir.events import Sink
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import Request


class _Translator(Translator):
    abilities = ABILITIES

    def read_request(self, body: bytes, ask: Ask, report: Report) -> Request:
        """Read a client's request."""
        return read_request(body, ask, report)

    def write_request(self, request: Request, recipient: Recipient, report: Report) -> bytes:
        """Write a prepared request."""
        return write_request(request, recipient, report)

    def read_answer(self, body: bytes, report: Report) -> Answer:
        """Read an upstream's answer."""
        return read_answer(body, report)

    def write_answer(self, answer: Answer, reply: Reply, report: Report) -> bytes:
        """Write a prepared answer."""
        return write_answer(answer, reply, report)

    def new_reader(self, sink: Sink, report: Report) -> StreamReader:
        """Return what reads an upstream's stream, which is always one of events."""
        return Reader(sink, report)

    def new_writer(self, reply: Reply, report: Report) -> StreamWriter:
        """Return what writes a client's stream, in the form it asked for."""
        form = ArrayWriter if reply.ask.in_array else EventWriter
        return form(reply, report, Spelling(ABILITIES))

    def stream_type(self, ask: Ask) -> bytes:
        """Return the content type: an array is one document."""
        return b"application/json" if ask.in_array else b"text/event-stream"


TRANSLATOR: Final = _Translator()
