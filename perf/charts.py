"""The report as a picture: one self-contained SVG with every figure, its sides and the budgets.

Pure: figures in, text out. Each bar and each line carries its side and its value as text, so that nothing hangs on a
colour. Bars of one panel share a scale that begins at zero. A void figure has no bars, only the reason. The same
figures always make the same bytes.
"""

import html
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from perf.budgets import Judged, Verdict
from perf.figures import OURS, YARDSTICK, Figure, Section
from perf.report import format_amount, list_sides

_WIDTH: Final = 960
_LEFT: Final = 150  # where bars and plots begin; names of sides stand before it
_SPAN: Final = 560  # of the longest bar
_ROW: Final = 18
_PLOT_HEIGHT: Final = 200
_LOG_FROM: Final = 20.0  # a plot whose highest value is this many times its lowest one has a logarithmic scale
_TICK_RATIO: Final = 2.0  # values closer than this would have their numbers on each other
_LABEL_CHARS: Final = 130
_PREFERRED_RUNG: Final = 8
_RUNG: Final = re.compile(r"json\.c(\d+)\.(\w+)")
_OWN_COLOUR: Final = "#1f5fbf"
_YARDSTICK_COLOUR: Final = "#6b6b6b"
_COLOURS: Final = ("#c46a1b", "#2e8b57", "#8a4fa3", "#a83232", "#1b8a9a", "#8b7500")
_VERDICTS: Final[Mapping[Verdict, str]] = {
    Verdict.STRETCH: "#2e8b57",
    Verdict.MET: "#2e8b57",
    Verdict.MISSED: "#a83232",
}
_STYLE: Final = (
    "text{font:12px sans-serif;fill:#222}.h{font:bold 15px sans-serif}.t{font-weight:bold}.n{fill:#666}"
    ".void{fill:#a83232}.grid{stroke:#ddd}.mark{stroke:#222;stroke-width:2}.stretch{stroke-dasharray:3 2}"
)


def _clean(text: str) -> str:
    """Return text that XML can hold, on one line and of a bearable length."""
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    shown = line if len(line) <= _LABEL_CHARS else line[: _LABEL_CHARS - 1] + "…"
    return html.escape(shown)


def _number(value: float) -> str:
    """Return a coordinate, always written in the same way."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


@dataclass(slots=True)
class Sheet:
    """Elements drawn so far, and how far down they reach."""

    colours: Mapping[str, str]
    at: float = 0.0
    elements: list[str] = field(default_factory=list)

    def add(self, tag: str, text: str | None = None, **attributes: str | float) -> None:
        """Add an element; underscores in names of attributes stand for hyphens."""
        written = "".join(
            f' {name.strip("_").replace("_", "-")}="{_clean(value) if isinstance(value, str) else _number(value)}"'
            for name, value in attributes.items()
        )
        self.elements.append(f"<{tag}{written}/>" if text is None else f"<{tag}{written}>{_clean(text)}</{tag}>")

    def write(self, text: str, x: float, *, kind: str = "", anchor: str = "start") -> None:
        """Write on the present line."""
        self.add("text", text, x=x, y=self.at, class_=kind or "p", text_anchor=anchor)

    def draw_bar(self, length: float, **attributes: str) -> None:
        """Draw a bar on the present line."""
        self.add("rect", x=float(_LEFT), y=self.at - 11, width=length, height=13.0, **attributes)

    def feed(self, height: float = _ROW) -> None:
        """Go further down."""
        self.at += height


def _paint(sides: Sequence[str]) -> Mapping[str, str]:
    """Return the colour of each side; ours and the yardstick always have the same."""
    others = [side for side in sides if side not in (OURS, YARDSTICK)]
    found = {side: _COLOURS[number % len(_COLOURS)] for number, side in enumerate(others)}
    return found | {OURS: _OWN_COLOUR, YARDSTICK: _YARDSTICK_COLOUR}


def _shown(figures: Iterable[Figure]) -> Iterator[float]:
    """Yield every value that will be drawn."""
    for figure in figures:
        if not figure.is_void:
            yield from (value for side in figure.samples if (value := figure.middle(side)) is not None)


# Bars


def _draw_bar(sheet: Sheet, figure: Figure, side: str, scale: float) -> None:
    value = figure.middle(side)
    if value is None:
        return
    sheet.write(side, _LEFT - 8, anchor="end")
    length = max(0.0, value) * scale
    sheet.draw_bar(length, fill=sheet.colours[side], data_figure=figure.name, data_side=side)
    ratio = figure.ratio() if side == OURS else None
    beside = f"{format_amount(value)} {figure.unit}" + (
        f" ({ratio.median:.2f} times {figure.baseline})" if ratio else ""
    )
    sheet.write(beside, _LEFT + length + 6)
    sheet.feed()


def _draw_bars(sheet: Sheet, figures: Sequence[Figure]) -> None:
    """Draw a panel of figures that share a unit."""
    highest = max(_shown(figures), default=0.0)
    scale = _SPAN / highest if highest > 0 else 0.0
    for figure in figures:
        sheet.write(figure.title, 20, kind="t")
        sheet.feed()
        if figure.is_void:
            sheet.write(f"VOID: {figure.failures[0]}", _LEFT, kind="void")
            sheet.feed()
        else:
            for side in list_sides([figure]):
                _draw_bar(sheet, figure, side, scale)
        sheet.feed(6)


# Lines


@dataclass(frozen=True, slots=True)
class Axes:
    """Where a point of a plot stands."""

    rungs: Sequence[int]
    low: float
    high: float
    top: float

    @property
    def is_log(self) -> bool:
        """Whether equal distances are equal ratios."""
        return self.low > 0 and self.high / self.low > _LOG_FROM

    def x(self, rung: int) -> float:
        """Return where so many connections stand: doubling them is always the same step."""
        first, last = math.log2(self.rungs[0]), math.log2(self.rungs[-1])
        return _LEFT + _SPAN * (math.log2(rung) - first) / (last - first)

    def y(self, value: float) -> float:
        """Return how far down a value stands."""
        share = math.log(value / self.low) / math.log(self.high / self.low) if self.is_log else value / self.high
        return self.top + _PLOT_HEIGHT * (1 - share)

    def ticks(self) -> list[float]:
        """Return the values that have a line of their own."""
        if not self.is_log:
            return [self.high * step / 4 for step in range(5)]
        powers = (10.0**step for step in range(math.ceil(math.log10(self.low)), math.ceil(math.log10(self.high))))
        apart = (power for power in powers if power > self.low * _TICK_RATIO and power * _TICK_RATIO < self.high)
        return [self.low, *apart, self.high]


def _draw_axes(sheet: Sheet, axes: Axes) -> None:
    for tick in axes.ticks():
        y = axes.y(tick)
        sheet.add("line", x1=float(_LEFT), x2=float(_LEFT + _SPAN), y1=y, y2=y, class_="grid")
        sheet.add("text", format_amount(tick), x=float(_LEFT - 8), y=y + 4, class_="n", text_anchor="end")
    for rung in axes.rungs:
        x = axes.x(rung)
        sheet.add("text", f"{rung:,}", x=x, y=axes.top + _PLOT_HEIGHT + 16, class_="n", text_anchor="middle")


def _spread(wanted: Mapping[str, float], gap: float) -> Mapping[str, float]:
    """Return the heights of labels, pushed apart where they would lie on each other."""
    placed: dict[str, float] = {}
    lowest = -math.inf
    for side in sorted(wanted, key=lambda side: (wanted[side], side)):
        placed[side] = lowest = max(wanted[side], lowest + gap)
    return placed


def _draw_lines(sheet: Sheet, ladder: Mapping[int, Figure]) -> None:
    """Draw one quantity over the number of connections; rungs that are void are left out and named."""
    good = {rung: figure for rung, figure in ladder.items() if not figure.is_void}
    values = list(_shown(good.values()))
    unit = next(iter(ladder.values())).unit
    axes = Axes(sorted(ladder), min(values, default=0.0), max(values, default=0.0) or 1.0, sheet.at)
    sheet.write(f"JSON over connections, {unit}{', logarithmic' if axes.is_log else ''}", 20, kind="t")
    sheet.feed()
    axes = Axes(axes.rungs, axes.low, axes.high, sheet.at)
    _draw_axes(sheet, axes)
    ends: dict[str, float] = {}
    for side in list_sides(good.values()):
        points = [(axes.x(rung), axes.y(value)) for rung in sorted(good) if (value := good[rung].middle(side))]
        joined = " ".join(f"{_number(x)},{_number(y)}" for x, y in points)
        colour = sheet.colours[side]
        sheet.add("polyline", points=joined, fill="none", stroke=colour, stroke_width=2.0, data_side=side)
        for x, y in points:
            sheet.add("circle", cx=x, cy=y, r=3.0, fill=colour)
        if points:
            ends[side] = points[-1][1]
    for side, y in _spread(ends, 13).items():
        last = next(value for rung in sorted(good, reverse=True) if (value := good[rung].middle(side)))
        sheet.add("text", f"{side} {format_amount(last)}", x=float(_LEFT + _SPAN + 8), y=y + 4, class_="p")
    sheet.feed(_PLOT_HEIGHT + 34)
    for rung in sorted(ladder.keys() - good.keys()):
        sheet.write(f"VOID at {rung:,} connections: {ladder[rung].failures[0]}", _LEFT, kind="void")
        sheet.feed()


# Budgets


def _draw_budget(sheet: Sheet, entry: Judged, scale: float) -> None:
    budget = entry.budget
    sheet.write(f"{budget.figure}, {budget.of}", 20, kind="t")
    sheet.feed()
    target_x = _LEFT + scale
    if entry.value is not None:
        length = max(0.0, entry.value) / budget.target * scale
        sheet.draw_bar(length, fill=_VERDICTS.get(entry.verdict, _YARDSTICK_COLOUR), data_budget=budget.figure)
    marks = [("mark", target_x)]
    if budget.stretch is not None:
        marks.append(("mark stretch", _LEFT + budget.stretch / budget.target * scale))
    for kind, x in marks:
        sheet.add("line", x1=x, x2=x, y1=sheet.at - 14, y2=sheet.at + 5, class_=kind)
    sheet.write(format_amount(entry.value), _LEFT - 8, anchor="end")
    sheet.feed()
    stretch = f", stretch ≤ {budget.stretch:g}" if budget.stretch is not None else ""
    sheet.write(f"target ≤ {budget.target:g}{stretch}: {entry.verdict.value}", _LEFT, kind="n")
    sheet.feed(_ROW + 4)


def _draw_budgets(sheet: Sheet, judged: Sequence[Judged]) -> None:
    """Draw values as shares of their targets, so that all targets stand below each other."""
    shares = [entry.value / entry.budget.target for entry in judged if entry.value is not None]
    scale = _SPAN / max(1.0, *shares) if shares else float(_SPAN)
    for entry in judged:
        _draw_budget(sheet, entry, scale)


# The whole


def _ladders(figures: Sequence[Figure]) -> Mapping[str, Mapping[int, Figure]]:
    """Return the figures that exist for several numbers of connections, by what they say."""
    found: dict[str, dict[int, Figure]] = {}
    for figure in figures:
        named = _RUNG.fullmatch(figure.name)
        if named is not None:
            found.setdefault(named[2], {})[int(named[1])] = figure
    return {kind: ladder for kind, ladder in found.items() if len(ladder) > 1}


def _panels(figures: Sequence[Figure], ladders: Mapping[str, Mapping[int, Figure]]) -> Iterator[list[Figure]]:
    """Yield the figures of each bar panel: one for each unit; of a ladder one rung stands for all."""
    left_out = {
        figure.name
        for ladder in ladders.values()
        for rung, figure in ladder.items()
        if rung != (_PREFERRED_RUNG if _PREFERRED_RUNG in ladder else min(ladder))
    }
    by_unit: dict[str, list[Figure]] = {}
    for figure in figures:
        if figure.name not in left_out:
            by_unit.setdefault(figure.unit, []).append(figure)
    yield from by_unit.values()


def _draw_section(sheet: Sheet, section: Section, figures: Sequence[Figure]) -> None:
    sheet.feed(14)
    sheet.write(section.value, 20, kind="h")
    sheet.feed(24)
    ladders = _ladders(figures)
    for panel in _panels(figures, ladders):
        _draw_bars(sheet, panel)
    for ladder in ladders.values():
        _draw_lines(sheet, ladder)


def draw(facts: Mapping[str, object], figures: Sequence[Figure], judged: Sequence[Judged]) -> str:
    """Return the picture of a whole run."""
    sheet = Sheet(_paint(list_sides(figures)), at=30.0)
    sheet.write("busbar-fast perf", 20, kind="h")
    sheet.feed(22)
    for name, value in facts.items():
        sheet.write(f"{name}: {value}", 20, kind="n")
        sheet.feed(16)
    for section in Section:
        of_section = [figure for figure in figures if figure.section is section]
        if of_section:
            _draw_section(sheet, section, of_section)
    sheet.feed(14)
    sheet.write("budgets, as shares of their targets (solid mark: target, dashed mark: stretch)", 20, kind="h")
    sheet.feed(24)
    _draw_budgets(sheet, judged)
    height = _number(sheet.at + 10)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="busbar-fast perf">'
    )
    ground = '<rect class="ground" width="100%" height="100%" fill="#fff"/>'
    return "\n".join([head, f"<style>{_STYLE}</style>", ground, *sheet.elements, "</svg>"]) + "\n"
