"""What the server has to make of a request, however it is cut: refuse it, or serve it and the one behind it."""

from tests.system.rawclient import split_answers
from tests.system.serving import LAST, SMUGGLED, Serve, Site

SHORT_TEXT_BYTES = 100


def check_refusals(site: Site, received: list[bytes], status: int) -> None:
    """Each connection got one short plain answer and its end; nothing behind the refused request was executed."""
    for raw in received:
        answers = split_answers(raw)
        assert [answer.status for answer in answers] == [status], raw
        assert answers[0].closes
        assert answers[0].fields[b"content-type"].startswith(b"text/plain")
        assert 0 < len(answers[0].body) < SHORT_TEXT_BYTES
    assert b"/smuggled" not in site.targets
    assert site.service.in_flight == 0
    assert site.service.refusals == {status: len(received)}


async def check_refused(serve: Serve, raw: bytes, status: int, *, is_begun: bool = False) -> None:
    """A request is refused with this status; only one whose body is at fault may have reached the responder."""
    async with serve() as site:
        check_refusals(site, await site.ask_cut_everywhere(raw, SMUGGLED), status)
        assert is_begun or site.targets == []


async def check_served(serve: Serve, raw: bytes, body: bytes = b"", target: bytes = b"/first") -> None:
    """A request is served with this body, and the last one behind it as well."""
    async with serve() as site:
        for received in await site.ask_cut_everywhere(raw, LAST):
            first, last = split_answers(received)
            assert (first.status, first.body, first.closes) == (200, target + b"\n" + body, False)
            assert (last.status, last.body, last.closes) == (200, b"/last\n", True)
        assert set(site.targets) == {target, b"/last"}
        assert site.service.refusals == {}
