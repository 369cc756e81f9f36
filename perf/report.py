"""The text report: tables by section, then budgets, then what is void. Pure: figures in, text out."""

from collections.abc import Iterable, Mapping, Sequence

from perf.budgets import Judged
from perf.figures import OURS, YARDSTICK, Figure, Section

_TITLE_WIDTH = 56
_CELL_WIDTH = 16


def format_amount(value: float | None) -> str:
    """Return three significant digits, or a whole number from 100 on; a dash for nothing."""
    if value is None:
        return "-"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:.{digits}f}"


def list_sides(figures: Iterable[Figure]) -> list[str]:
    """Return everybody who was measured: us, the yardstick, then the others in their order."""
    named = dict.fromkeys(side for figure in figures for side in figure.samples)
    first = [side for side in (OURS, YARDSTICK) if side in named]
    return first + [side for side in named if side not in first]


def _ratio_cell(figure: Figure) -> str:
    ratio = figure.ratio()
    if ratio is None:
        return "-" if figure.is_absent else "too noisy"
    return f"{ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"


def render_line(figure: Figure, columns: Sequence[str]) -> str:
    """Return one row: a value per side, then ours ÷ baseline with the range over rounds."""
    label = f"{figure.title}, {figure.unit}" if figure.unit else figure.title
    head = f"  {label:<{_TITLE_WIDTH}}"
    if figure.is_void:
        return f"{head}VOID: {figure.failures[0]}"
    cells = "".join(f"{format_amount(figure.middle(side)):>{_CELL_WIDTH}}" for side in columns)
    return f"{head}{cells}   {_ratio_cell(figure)}"


def render_section(section: Section, figures: Sequence[Figure]) -> list[str]:
    """Return the lines of one table, notes below their rows."""
    columns = list_sides(figures)
    baseline = figures[0].baseline
    lines = ["", section.value]
    cells = "".join(f"{side:>{_CELL_WIDTH}}" for side in columns)
    lines.append(f"  {'':<{_TITLE_WIDTH}}{cells}   ours ÷ {baseline} (range over rounds)")
    for figure in figures:
        other = "" if figure.baseline == baseline else f", ours ÷ {figure.baseline}"
        lines.append(render_line(figure, columns) + other)
        if figure.note:
            lines.append(f"      {figure.note}")
    return lines


def render_budgets(judged: Sequence[Judged]) -> list[str]:
    """Return the lines of the budget table."""
    lines = ["", "budgets (perf/budgets.toml)"]
    for entry in judged:
        budget = entry.budget
        limit = f"≤ {budget.target:g}" + (f" (stretch {budget.stretch:g})" if budget.stretch is not None else "")
        value = format_amount(entry.value)
        lines.append(f"  {budget.figure + ', ' + budget.of:<36}{value:>10}   {limit:<24}{entry.verdict.value}")
    return lines


def render(facts: Mapping[str, object], figures: Sequence[Figure], judged: Sequence[Judged]) -> str:
    """Return the whole report."""
    lines = ["", "busbar-fast perf"]
    lines += [f"  {name:<16}{value}" for name, value in facts.items()]
    for section in Section:
        of_section = [figure for figure in figures if figure.section is section]
        if of_section:
            lines += render_section(section, of_section)
    lines += render_budgets(judged)
    void = [figure for figure in figures if figure.is_void]
    if void:
        lines += ["", f"VOID: {len(void)} of {len(figures)} figures; quote none of them"]
        lines += [f"  {figure.name}: {failure}" for figure in void for failure in figure.failures[:3]]
    return "\n".join(lines) + "\n"
