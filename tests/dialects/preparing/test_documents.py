"""Documents that an answer is to rest on, for who has a place for them and who has none."""

from msgspec import Raw

from busbar_fast.dialects.preparing.documents import with_fitting_documents
from busbar_fast.dialects.translator import Abilities
from busbar_fast.ir.blocks import Media, MediaKind, Plain, Text, ToolResult
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import Document, Message, Request, Role
from tests.dialects.preparing.targets import HERE, NARROW, noted

DOCUMENTS = [
    Document("d1", "Rain", "It rains."),
    Document("d2", "Snow", content=Raw(b'{"title":"Snow","text":"no"}'), is_cited=False),
    Document(text="bare"),
]
LISTED = 'Documents:\nd1 Rain\nIt rains.\nd2\n{"title":"Snow","text":"no"}\nbare'


def asked(*messages: Message) -> Request:
    """Return a request of these turns that has documents."""
    return Request(HERE, messages=list(messages), documents=DOCUMENTS)


def placed(request: Request, target: Abilities = NARROW) -> tuple[Request, list[str]]:
    """Return the request with its documents where the target wants them, and what was noted."""
    report = Report()
    return with_fitting_documents(request, target, report), noted(report)


def test_who_has_a_place_for_them_gets_them_there() -> None:
    """IR §6, step 8: nothing is moved, and nothing where there are none."""
    request = asked(Message(Role.USER, [Text("why")]))
    takes = NARROW._replace(takes_documents=True)
    assert placed(request, takes) == (request, [])
    assert placed(Request(HERE)) == (Request(HERE), [])


def test_they_become_a_text_before_the_last_question() -> None:
    """Cohere §3: a list in one block of the last turn of the user, each with its id, its content as it was written."""
    first, last = Message(Role.USER, [Text("who")]), Message(Role.USER, [Text("why")])
    answer = Message(Role.ASSISTANT, [Text("me")])
    request, fields = placed(asked(first, answer, last, answer))
    assert request.messages == [first, answer, Message(Role.USER, [Text(LISTED), Text("why")]), answer]
    assert (request.documents, fields) == ([], ["documents"])
    assert last.blocks == [Text("why")]


def test_they_stand_behind_results_of_the_same_turn() -> None:
    """Cohere §3: results come first in a turn of the user."""
    result = ToolResult("i", [Text("r")])
    request, _ = placed(asked(Message(Role.USER, [result, Text("why")])))
    assert request.messages[0].blocks == [result, Text(LISTED), Text("why")]


def test_without_a_turn_of_the_user_they_are_one() -> None:
    """Cohere §3: they get a turn of their own, in front."""
    answer = Message(Role.ASSISTANT, [Text("me")])
    request, _ = placed(asked(answer))
    assert request.messages == [Message(Role.USER, [Text(LISTED)]), answer]


def test_who_takes_files_of_text_gets_each_as_one() -> None:
    """Cohere case 34: with its title, and cited where the client wants that."""
    request, fields = placed(asked(Message(Role.USER, [Text("why")])), NARROW._replace(takes_text_documents=True))
    kind, mime = MediaKind.DOCUMENT, "text/plain"
    assert request.messages[0].blocks == [
        Media(kind, Plain("It rains."), mime, "Rain", is_cited=True),
        Media(kind, Plain('{"title":"Snow","text":"no"}'), mime, "Snow"),
        Media(kind, Plain("bare"), mime, is_cited=True),
        Text("why"),
    ]
    assert (request.documents, fields) == ([], ["documents"])
