"""Figures as lines for a terminal, or for a file: plain text, and colours as ANSI sequences around it. Pure.

Names are shown as one line of printable characters whatever they hold, so that none of them can steer a terminal.
"""

import unicodedata
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from busbar_fast.top.figures import Figures, KeyRow, LaneRow, PoolRow, Totals

NOTHING: Final = "-"  # what is not known
_GAP: Final = "  "
_MOST_KEYS: Final = 10
_RED, _YELLOW, _GREEN, _BOLD, _FAINT = "31", "33", "32", "1", "2"
_STATES: Final = {
    "available": _GREEN,
    "at_capacity": _YELLOW,
    "probe_in_flight": _YELLOW,
    "breaker_open": _RED,
    "budget_exhausted": _RED,
    "dead": _RED,
}
_EVENTS: Final = {
    "failovers": "failovers",
    "trips": "breaker trips",
    "streams_aborted": "streams aborted",
    "auth_failures": "not let in",
    "admission_denied": "shed",
    "http_errors": "bad HTTP",
}


class Cell(NamedTuple):
    """One place of a table, or of a line."""

    text: str
    colour: str = ""


class Column(NamedTuple):
    """What stands in a column. On a narrow terminal those of the highest rank go first, those of rank 0 stay."""

    title: str
    is_number: bool
    rank: int
    show: Callable[..., Cell]


class Frame(NamedTuple):
    """What there is to draw on; no width or height: as much as it takes."""

    width: int | None = None
    height: int | None = None
    is_coloured: bool = False


def draw(figures: Figures, origin: str, frame: Frame, notice: str = "") -> list[str]:
    """Return the lines of a screen. A notice is what is wrong just now."""
    totals = figures.totals
    lines = [
        [Cell("busbar-fast", _BOLD), Cell(f" {_plain(totals.version or '')} at {_plain(origin)}".replace("  ", " "))]
    ]
    if notice:
        lines.append([Cell(_plain(notice), _RED)])
    if not figures.has_series:
        lines.append([Cell("no rates, latency or spend: /metrics lets this token not in", _YELLOW)])
    lines += [_summary(totals), _events(totals), []]
    lines += _table(_POOLS, figures.pools, frame.width)
    lines += [[], *_table(_LANES, figures.lanes, frame.width)]
    if figures.keys:
        lines += [[], *_table(_KEYS, figures.keys[:_MOST_KEYS], frame.width)]
        if len(figures.keys) > _MOST_KEYS:
            lines.append([Cell(f"and {len(figures.keys) - _MOST_KEYS} more keys that spent less", _FAINT)])
    if frame.height is not None and len(lines) > frame.height:
        hidden = len(lines) - frame.height + 1
        lines = [*lines[: frame.height - 1], [Cell(f"{hidden} more lines; a taller window shows them", _FAINT)]]
    return [_line(cells, frame) for cells in lines]


def _summary(totals: Totals) -> list[Cell]:
    spent = [] if totals.spend_cents is None else [("spent", _count(totals.spend_cents) + " ct")]
    tokens = [] if totals.tokens is None else [("tokens", _rate(totals.tokens) + "/s")]
    pairs = [
        ("requests", _rate(totals.requests) + "/s"),
        ("failed", _rate(totals.failures) + "/s"),
        ("p95", _time(totals.p95_s)),
        ("in flight", _count(totals.in_flight)),
        ("connections", _count(totals.connections)),
        *tokens,
        *spent,
    ]
    return _pairs(pairs)


def _events(totals: Totals) -> list[Cell]:
    shown = []
    for word, title in _EVENTS.items():
        recent = totals.recent.get(word)
        more = f" (+{recent})" if recent else ""
        shown.append((title, _count(totals.events.get(word)) + more))
    return _pairs(shown)


def _pairs(pairs: Sequence[tuple[str, str]]) -> list[Cell]:
    cells: list[Cell] = []
    for title, text in pairs:
        cells += [Cell((_GAP if cells else "") + title + " ", _FAINT), Cell(text)]
    return cells


# Columns


def _breaker(row: LaneRow) -> Cell:
    return Cell(row.breaker, {"open": _RED, "half_open": _YELLOW}.get(row.breaker, ""))


def _in_flight(row: LaneRow) -> Cell:
    if row.max_concurrent is None:
        return Cell(str(row.inflight))
    return Cell(f"{row.inflight}/{row.max_concurrent}", _YELLOW if row.inflight >= row.max_concurrent else "")


def _resting(row: LaneRow) -> Cell:
    words = [row.reason] if row.reason else []
    words += [f"{pool or 'itself'} {left_s}s" for pool, left_s in row.resting.items()]
    return Cell(", ".join(words))


def _bad(value: float | None) -> Cell:
    return Cell(_rate(value), _RED if value else "")


def _left(row: KeyRow) -> Cell:
    return Cell(_count(row.remaining_cents), _RED if row.remaining_cents == 0 else "")


_POOLS: Final = (
    Column("POOL", False, 0, lambda row: Cell(row.name)),
    Column("REQ/S", True, 0, lambda row: Cell(_rate(row.requests))),
    Column("FAIL/S", True, 0, lambda row: _bad(row.failures)),
    Column("4XX/S", True, 3, lambda row: Cell(_rate(row.client_faults))),
    Column("P50", True, 1, lambda row: Cell(_time(row.p50_s))),
    Column("P95", True, 0, lambda row: Cell(_time(row.p95_s))),
    Column("P99", True, 2, lambda row: Cell(_time(row.p99_s))),
    Column("FIRST BYTE P95", True, 4, lambda row: Cell(_time(row.first_byte_p95_s))),
    Column("REQUESTS", True, 5, lambda row: Cell(_count(row.total))),
)
_LANES: Final = (
    Column("LANE", False, 0, lambda row: Cell(row.name)),
    Column("PROVIDER", False, 6, lambda row: Cell(row.provider)),
    Column("STATE", False, 0, lambda row: Cell(row.availability, _STATES.get(row.availability, ""))),
    Column("BREAKER", False, 2, _breaker),
    Column("IN FLIGHT", True, 0, _in_flight),
    Column("TRY/S", True, 0, lambda row: Cell(_rate(row.attempts))),
    Column("FAIL/S", True, 1, lambda row: _bad(row.failures)),
    Column("OK", True, 5, lambda row: Cell(_count(row.ok))),
    Column("ERR", True, 4, lambda row: Cell(_count(row.err))),
    Column("TRIPS", True, 7, lambda row: Cell(_count(row.trips))),
    Column("RESTS", False, 3, _resting),
)
_KEYS: Final = (
    Column("KEY", False, 0, lambda row: Cell(row.id)),
    Column("SPENT CT", True, 0, lambda row: Cell(_count(row.spend_cents))),
    Column("LEFT CT", True, 0, _left),
    Column("CT/MIN", True, 1, lambda row: Cell(_rate(row.cents_per_min))),
    Column("TOKENS", True, 2, lambda row: Cell(_count(row.tokens))),
)


def _table(
    columns: Sequence[Column], rows: Sequence[PoolRow | LaneRow | KeyRow], width: int | None
) -> list[list[Cell]]:
    """Return a table whose columns are as wide as they must be; those that find no place are left out."""
    kept = list(columns)
    cells = [[column.show(row) for column in columns] for row in rows]
    cells = [[Cell(_plain(cell.text), cell.colour) for cell in row] for row in cells]
    widths = {
        column: max(_width(text) for text in (column.title, *(row[place].text for row in cells)))
        for place, column in enumerate(columns)
    }
    while width is not None and sum(widths[column] + len(_GAP) for column in kept) - len(_GAP) > width:
        droppable = max(kept, key=lambda column: column.rank)
        if not droppable.rank:
            break
        kept.remove(droppable)
    head = [Cell(column.title, _BOLD) for column in columns]
    return [
        [
            _padded(cell, widths[column], is_last=column is kept[-1], is_number=column.is_number)
            for column, cell in zip(columns, line, strict=True)
            if column in kept
        ]
        for line in [head, *cells]
    ]


def _padded(cell: Cell, width: int, *, is_last: bool, is_number: bool) -> Cell:
    blanks = " " * (width - _width(cell.text))
    text = blanks + cell.text if is_number else cell.text + blanks
    return Cell(text if is_last else text + _GAP, cell.colour)


# Lines


def _line(cells: Sequence[Cell], frame: Frame) -> str:
    """Return a line, cut at the frame's width."""
    left, pieces = frame.width, []
    for text, colour in cells:
        kept = text if left is None else _cut(text, left)
        left = None if left is None else left - _width(kept)
        pieces.append(f"\x1b[{colour}m{kept}\x1b[0m" if colour and frame.is_coloured and kept.strip() else kept)
        if kept != text:
            break
    return "".join(pieces) if frame.is_coloured else "".join(pieces).rstrip()


def _cut(text: str, width: int) -> str:
    while _width(text) > width:
        text = text[:-1]
    return text


def _width(text: str) -> int:
    """Return how many places a text takes on a terminal."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(bool(unicodedata.combining(letter)) for letter in text)


def _plain(text: str) -> str:
    return text if text.isprintable() else "".join(letter if letter.isprintable() else "?" for letter in text)


# Numbers


def _rate(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{value:.0f}" if value >= 100 or not value else f"{value:.1f}"


def _time(value_s: float | None) -> str:
    if value_s is None:
        return NOTHING
    if value_s < 1:
        return f"{value_s * 1000:.0f}ms" if value_s >= 0.01 else f"{value_s * 1000:.1f}ms"
    return f"{value_s:.1f}s" if value_s < 100 else f"{value_s:.0f}s"


def _count(value: float | None) -> str:
    if value is None:
        return NOTHING
    for bound, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if value >= bound:
            return f"{value / bound:.1f}{unit}"
    return f"{value:.0f}"
