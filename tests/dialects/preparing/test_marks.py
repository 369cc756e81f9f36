"""How many marks of a prompt stay, and which."""

from msgspec import Raw, structs

from busbar_fast.dialects.preparing.marks import with_fitting_marks
from busbar_fast.dialects.translator import Abilities, Recipient
from busbar_fast.ir.blocks import AnyBlock, Mark, SearchResult, Text, ToolResult
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import Message, Request, Role, Tool
from tests.dialects.preparing.targets import HERE, LANE, NARROW, THERE, noted

ALWAYS = Abilities(THERE, takes_marks="always", most_marks=4)
GATED = Abilities(THERE, takes_marks="gated")


def marked(*, has_own: bool = False) -> Request:
    """Return a request with six marks: of a tool, the system, inside two results, behind one, and behind a text."""
    result = ToolResult("i", [Text("in", mark=Mark("2")), Text("un")], mark=Mark("3"))
    found = SearchResult("s", "t", [Text("in", mark=Mark("4"))])
    return Request(
        HERE,
        tools=[Tool("a", mark=Mark("0")), Tool("b")],
        system=[Text("s", mark=Mark("1"))],
        messages=[Message(Role.USER, [result, found]), Message(Role.USER, [Text("t", mark=Mark("5"))])],
        mark=Mark("6") if has_own else None,
    )


def left(request: Request) -> list[str]:
    """Return the marks of a request in the order of its prompt."""
    found: list[Mark | None] = [tool.mark for tool in request.tools]
    blocks: list[AnyBlock] = [*request.system, *(block for message in request.messages for block in message.blocks)]
    for block in blocks:
        parts = block.blocks if isinstance(block, ToolResult | SearchResult) else []
        found += [part.mark for part in (*parts, block)]
    return [mark.ttl for mark in (*found, request.mark) if mark is not None]


def fitted(request: Request, target: Abilities, lane: Recipient = LANE) -> tuple[list[str], list[str]]:
    """Return which marks stay, and what is noted."""
    report = Report()
    return left(with_fitting_marks(request, target, lane, report)), noted(report)


def test_a_request_without_marks_is_the_same_one() -> None:
    """IR §6, step 4: nothing to count, nothing to copy."""
    request, report = Request(HERE, tools=[Tool("a", schema=Raw(b"{}"))]), Report()
    assert with_fitting_marks(request, NARROW, LANE, report) is request
    assert report.entries == []


def test_the_last_four_stay_in_the_order_of_a_prompt() -> None:
    """IR §6, step 4: tools come before the system, that before the turns, and what is in a result before its end."""
    assert fitted(marked(), ALWAYS) == (["2", "3", "4", "5"], ["cache_control"])
    assert fitted(marked(has_own=True), ALWAYS) == (["3", "4", "5", "6"], ["cache_control"])


def test_as_many_as_there_may_be_are_left_alone() -> None:
    """IR §6, step 4: a limit that is kept changes nothing."""
    six = ALWAYS._replace(most_marks=6)
    assert fitted(marked(), six) == (["0", "1", "2", "3", "4", "5"], [])
    assert fitted(marked(), ALWAYS._replace(most_marks=0)) == (["0", "1", "2", "3", "4", "5"], [])


def test_who_keeps_nothing_gets_no_marks() -> None:
    """IR §6, step 4: neither a dialect that has none, nor a lane that is not known to cache."""
    assert fitted(marked(has_own=True), NARROW) == ([], ["cache_control"])
    assert fitted(marked(has_own=True), GATED) == ([], ["cache_control"])
    assert fitted(marked(), GATED, LANE._replace(has_prompt_caching=True))[1] == []


def test_the_marks_of_the_request_that_was_given_stay() -> None:
    """IR §6: another lane may get it next."""
    request = marked(has_own=True)
    before = structs.replace(request)
    fitted(request, NARROW)
    assert left(request) == ["0", "1", "2", "3", "4", "5", "6"]
    assert request == before
