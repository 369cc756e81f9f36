"""Figures as lines: what stands where, what a narrow or low terminal leaves out, and that no name steers it."""

import re

import pytest

from busbar_fast.top.figures import Figures, compare
from busbar_fast.top.screen import Frame, draw
from tests.top.looks import cell, histogram, lane, look, requests, stats

DURATION = "busbar_request_duration_seconds"
LANES = [
    lane("good", inflight=2, max_concurrent=8, ok=1234567),
    lane("bad", availability="breaker_open", breaker_state="open", err=3, cells={"": cell(), "p": cell(12)}),
    lane("full", availability="at_capacity", inflight=1, max_concurrent=1),
]


def busy(keys: int = 1, more: str = "") -> Figures:
    """Return figures of a gateway that has something of everything."""
    document = stats(*LANES, p=["good", "bad"], empty=["full"])
    spent = "".join(f'busbar_key_spend_cents{{key="vk_{n}"}} {n + 1}\n' for n in range(keys))
    text = (
        "busbar_connections 7\nbusbar_requests_in_flight 3\n"
        'busbar_build_info{version="9.9"} 1\nbusbar_key_budget_remaining_cents{key="vk_0"} 0\n'
    )
    hops = 'busbar_failovers_total{{pool="p",reason="connect"}} {}\n'
    before = text + spent + requests("p") + histogram(DURATION, "p", 0, 0, 0, 0) + hops.format(1)
    after = text + spent + requests("p", ok=12, error=3) + histogram(DURATION, "p", 10, 0, 0, 0) + hops.format(4) + more
    return compare(look(0, document, before), look(1, document, after))


def row(lines: list[str], name: str) -> list[str]:
    """Return the words of the line that begins with a name."""
    (found,) = [line.split() for line in lines if line.split()[:1] == [name]]
    return found


def test_everything_stands_in_its_place() -> None:
    """A frame without bounds shows every row and column."""
    lines = draw(busy(), "http://h:1", Frame())
    assert lines[0] == "busbar-fast 9.9 at http://h:1"
    assert lines[1].startswith("requests 15.0/s  failed 3.0/s  p95 95ms  in flight 3  connections 7")
    assert "spent 1 ct" in lines[1]
    assert lines[2].startswith("failovers 4 (+3)  breaker trips 0")
    assert row(lines, "POOL")[:6] == ["POOL", "REQ/S", "FAIL/S", "4XX/S", "P50", "P95"]
    assert row(lines, "p") == ["p", "15.0", "3.0", "0", "50ms", "95ms", "99ms", "-", "15"]
    assert row(lines, "empty") == ["empty", "0", "0", "0", "-", "-", "-", "-", "0"]
    assert row(lines, "good") == ["good", "up", "available", "closed", "2/8", "0", "0", "1.2M", "0", "-"]
    assert row(lines, "bad")[2:4] == ["breaker_open", "open"]
    assert row(lines, "bad")[-2:] == ["p", "12s"]
    assert row(lines, "vk_0") == ["vk_0", "1", "0", "0", "0"]
    assert all(line == line.rstrip() and line.isprintable() for line in lines)


def test_columns_begin_and_end_together() -> None:
    """Words stand below the beginning of their title, numbers below its end."""
    lines = draw(busy(), "o", Frame())
    head, good, bad = (next(line for line in lines if line.startswith(name)) for name in ("LANE", "good", "bad"))
    assert head.index("BREAKER") == good.index("closed") == bad.index("open", bad.index("breaker_open") + 12)
    assert head.index("IN FLIGHT") + len("IN FLIGHT") == good.index("2/8") + 3


@pytest.mark.parametrize("width", [150, 100, 80, 60, 40, 20])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    """Columns go before anything is cut, and the name, the state and the rates go last."""
    lines = draw(busy(), "http://a.long.name.example.net:8080", Frame(width, None))
    assert max(map(len, lines)) <= width
    head = next(line for line in lines if line.startswith("LANE"))
    assert ("PROVIDER" in head) is (width >= 100)
    if width >= 60:
        assert head.split()[-1] in {"TRIPS", "RESTS", "TRY/S", "FAIL/S", "ERR"}
        assert "IN FLIGHT" in head


def test_a_low_terminal_says_what_is_missing() -> None:
    """The last line tells how many there are no place for."""
    whole = draw(busy(), "o", Frame())
    lines = draw(busy(), "o", Frame(None, 7))
    assert (len(lines), lines[:6]) == (7, whole[:6])
    assert lines[6].startswith(f"{len(whole) - 6} more lines")
    assert draw(busy(), "o", Frame(None, len(whole))) == whole


def test_colours_are_around_words_and_change_nothing_else() -> None:
    """What is bad is red, a full lane yellow, a good one green; without the sequences the lines are the same."""
    plain = draw(busy(), "o", Frame(120, None))
    coloured = draw(busy(), "o", Frame(120, None, is_coloured=True))
    assert [re.sub(r"\x1b\[\d*m", "", line).rstrip() for line in coloured] == plain
    text = "\n".join(coloured)
    assert re.search(r"\x1b\[31mbreaker_open *\x1b\[0m", text)
    assert re.search(r"\x1b\[33mat_capacity *\x1b\[0m", text)
    assert re.search(r"\x1b\[33m *1/1 *\x1b\[0m", text)
    assert re.search(r"\x1b\[32mavailable *\x1b\[0m", text)
    assert text.count("\x1b[0m") * 2 == text.count("\x1b[")


def test_many_keys_are_cut_and_counted() -> None:
    """Those that spent most are shown."""
    lines = draw(busy(13), "o", Frame())
    assert [line.split()[0] for line in lines if line.startswith("vk_")] == [f"vk_{n}" for n in range(12, 2, -1)]
    assert lines[-1] == "and 3 more keys that spent less"


def test_a_notice_stands_above_old_numbers() -> None:
    """Whoever reads them is told."""
    lines = draw(busy(), "o", Frame(), "nobody there")
    assert (lines[1], lines[2][:8]) == ("nobody there", "requests")


def test_missing_series_are_said() -> None:
    """A token that may not read `/metrics` is no riddle."""
    lines = draw(compare(None, look(0, stats(*LANES, p=["good"]), None)), "o", Frame())
    assert "/metrics" in lines[1]
    assert row(lines, "good")[:4] == ["good", "up", "available", "closed"]
    assert row(lines, "p") == ["p", *"--------"]


def test_no_name_steers_the_terminal() -> None:
    """Whatever a name holds, a line is one line of letters."""
    evil = "a\x1b[2J\nb\r\x07"
    document = stats(lane(evil, provider=evil, dead_reason=evil), **{evil: [evil]})
    lines = draw(compare(None, look(0, document, "")), evil, Frame(), evil)
    assert all(line.isprintable() for line in lines)
    assert any(line.startswith("a?[2J?b??") for line in lines)


def test_wide_letters_take_two_places() -> None:
    """A column of Chinese names is as wide as a terminal shows it."""
    document = stats(lane("模型"), lane("e\u0301"), lane("abcd"))
    head, wide, accent, plain = draw(compare(None, look(0, document, "")), "o", Frame())[-4:]
    assert head.index("PROVIDER") == plain.index("up") == wide.index("up") + 2 == accent.index("up") - 1
    cut = draw(compare(None, look(0, document, "")), "o", Frame(3, None))
    assert "模" in cut
