"""What is shown of a body that passes through, and what an editor makes of it."""

import pytest

from busbar_fast.wire.framing import encode_chunk
from busbar_fast.wire.viewing import TAIL_CHUNKS, View


class Reader:
    """Notes what it is shown."""

    sign = b"!"
    ends: tuple[bytes, ...] = (b";", b".")

    @staticmethod
    def unit_head(size: int) -> bytes:  # noqa: ARG004  units are told by their ends
        return b""

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        self.is_between = True

    def feed(self, piece: bytes) -> None:
        self.seen.append(piece)


class Sized(Reader):
    """Looks at units that begin with their size."""

    @staticmethod
    def unit_head(size: int) -> bytes:
        return b"%d:" % size


class Shouter:
    """Writes capitals, and holds the last byte back."""

    signs = (b"!", b"?")

    def __init__(self) -> None:
        self._held = b""

    @property
    def is_between(self) -> bool:
        return not self._held

    def feed(self, piece: bytes) -> bytes:
        shown = self._held + piece[:-1].upper()
        self._held = piece[-1:]
        return shown

    def maybe_edit(self, chunk: bytes, start: int) -> bytes | None:
        return chunk[start + 1 : -2].upper() if chunk.startswith(b"#", start) else None

    def finish(self) -> bytes:
        held, self._held = self._held, b""
        return held


def test_view_asks_for_what_its_onlooker_asks_for() -> None:
    """Signs and ends are the onlooker's; an editor's signs go before."""
    reader = Reader()
    plain, edited = View(reader), View(reader, Shouter())
    assert (plain.sign, plain.other_sign) == (b"!", b"")
    assert (edited.sign, edited.other_sign) == (b"!", b"?")
    for payload, fits in ((b"a;", True), (b"a.", True), (b"a", False), (b".;a", False)):
        assert plain.look.fits(encode_chunk(payload)) is fits
    assert edited.look is plain.look
    assert (plain.is_edited, edited.is_edited) == (False, True)


def test_payload_goes_on_as_it_is_without_an_editor() -> None:
    """An onlooker sees everything and changes nothing."""
    reader = Reader()
    view = View(reader)
    chunk = encode_chunk(b"two!;")
    assert view.show(b"one") == b"one"
    assert view.show_chunk(chunk) is chunk
    assert view.finish() == b""
    assert reader.seen == [b"one", b"two!;"]


def test_editor_changes_what_goes_on_and_what_is_seen_stays() -> None:
    """The onlooker sees what came, the client gets what the editor makes of it, to the last byte."""
    reader = Reader()
    view = View(reader, Shouter())
    assert view.show(b"one") == b"ON"
    assert view.show_chunk(encode_chunk(b"two")) == encode_chunk(b"eTW")
    assert view.finish() == b"o"
    assert view.finish() == b""
    assert reader.seen == [b"one", b"two"]


def test_usual_edit_is_not_seen_at_once() -> None:
    """A chunk that the editor knows by its look goes on changed; its onlooker sees it late, like one without a sign."""
    reader = Reader()
    view = View(reader, Shouter())
    chunk = encode_chunk(b"#one!;")
    assert view.show_chunk(chunk) == encode_chunk(b"ONE!;")
    assert reader.seen == []
    view.settle()
    assert reader.seen == [b"#one!;"]


def test_usual_edit_is_seen_at_once_by_who_counts_everything() -> None:
    """An onlooker that is shown whatever passes sees it before anything else does."""
    reader = Reader()
    view = View(reader, Shouter())
    view.sign = b""
    assert view.show_chunk(encode_chunk(b"#one!;")) == encode_chunk(b"#ONE!")
    assert reader.seen == [b"#one!;"]


def test_chunks_may_be_kept_while_nobody_is_in_the_middle() -> None:
    """Onlooker and editor must both be between two things."""
    reader, shouter = Reader(), Shouter()
    view = View(reader, shouter)
    for held, is_between in ((b"", True), (b"a", False)):
        shouter.feed(held)
        for reader.is_between in (True, False):
            assert view.is_between is (is_between and reader.is_between)
            assert View(reader).is_between is reader.is_between


def test_last_chunks_that_were_kept_are_shown_late() -> None:
    """What was kept is shown in order before anything else, and of many chunks only the last ones."""
    reader = Reader()
    view = View(reader)
    payloads = [b"%d;" % number for number in range(TAIL_CHUNKS + 3)]
    for payload in payloads:
        view.keep(encode_chunk(payload))
    assert reader.seen == []
    view.show(b"x")
    assert reader.seen == [*payloads[3:], b"x"]
    view.keep(encode_chunk(b"last."))
    view.settle()
    view.settle()
    assert reader.seen[TAIL_CHUNKS:] == [b"x", b"last."]


@pytest.mark.parametrize("payload", [b"x.", b"y" * 9 + b";", b"z" * 15 + b".", b"u" * 300 + b";"])
def test_unit_that_says_its_size_is_known_by_it(payload: bytes) -> None:
    """Where units begin with their size, a chunk of one unit does as well, and no other chunk may be kept."""
    sized = b"%d:%b" % (len(payload) + 2 + (len(payload) > 7) + (len(payload) > 96), payload)
    assert View(Reader()).look.fits(encode_chunk(payload))
    assert not View(Sized()).look.fits(encode_chunk(payload))
    assert View(Sized()).look.fits(encode_chunk(sized))
    assert not View(Sized()).look.fits(encode_chunk(sized + payload))


@pytest.mark.parametrize("size", [4090, 4091, 70_000, 2**20 - 1, 2**20, 2**20 + 1])
def test_no_large_chunk_is_kept(size: int) -> None:
    """What is kept for later is bounded."""
    chunk = encode_chunk(bytes(size - 1) + b";")
    assert View(Reader()).look.fits(chunk) is (len(chunk) <= 4096)
