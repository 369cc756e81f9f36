"""The picture of a run: well-formed, to scale, and silent about what is void."""

from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from perf import charts
from perf.budgets import Budget, Judged, Verdict
from perf.figures import Figure, Section

NAME = "{http://www.w3.org/2000/svg}"
FACTS = {"machine": "2 x <test> & more", "plan": "quick"}


def figure(name: str, section: Section = Section.CPU, *, failures: tuple[str, ...] = (), **sides: float) -> Figure:
    """Return a figure with one sample of each side."""
    samples = {side: [value] for side, value in sides.items()}
    return Figure(name, section, f"title of {name}", "µs/request", samples, failures=failures)


def drawn(*figures: Figure, judged: tuple[Judged, ...] = ()) -> ET.Element:
    """Return the picture as a reader of XML finds it."""
    return ET.fromstring(charts.draw(FACTS, figures, judged))  # noqa: S314  it is ours


def lengths(picture: ET.Element) -> dict[tuple[str, str], float]:
    """Return how long the bar of each figure and side is."""
    bars = [bar for bar in picture.iter(f"{NAME}rect") if "data-figure" in bar.attrib]
    return {(bar.attrib["data-figure"], bar.attrib["data-side"]): float(bar.attrib["width"]) for bar in bars}


def texts(picture: ET.Element) -> list[str]:
    """Return everything that is written."""
    return [element.text or "" for element in picture.iter(f"{NAME}text")]


def points(picture: ET.Element, side: str) -> list[tuple[float, float]]:
    """Return the points of a side's line."""
    (line,) = (line for line in picture.iter(f"{NAME}polyline") if line.attrib["data-side"] == side)
    pairs = (pair.split(",") for pair in line.attrib["points"].split())
    return [(float(x), float(y)) for x, y in pairs]


def test_bars_are_as_long_as_their_values() -> None:
    """Within a panel lengths have the ratios of the values, and the longest bar fills the width."""
    picture = drawn(figure("json.c8.cpu", ours=50.0, haproxy=20.0), figure("stream.c8.burst.cpu", ours=100.0))
    found = lengths(picture)
    assert found["json.c8.cpu", "ours"] == pytest.approx(found["json.c8.cpu", "haproxy"] * 2.5, rel=1e-3)
    assert found["stream.c8.burst.cpu", "ours"] == pytest.approx(found["json.c8.cpu", "ours"] * 2, rel=1e-3)
    assert max(found.values()) == 560


def test_each_bar_says_whose_it_is_and_how_much() -> None:
    """A picture in grey can be read: side, value, unit and ratio stand as text."""
    written = texts(drawn(figure("json.c8.cpu", ours=50.0, haproxy=20.0)))
    assert "ours" in written
    assert "haproxy" in written
    assert "50.0 µs/request (2.50 times haproxy)" in written
    assert "20.0 µs/request" in written


def test_units_do_not_share_a_scale() -> None:
    """Each unit has a panel of its own, so a large number of one does not shrink the bars of another."""
    small = Figure("memory.idle", Section.CPU, "idle", "MiB", {"ours": [2.0]})
    found = lengths(drawn(small, figure("json.c8.cpu", ours=5000.0)))
    assert set(found.values()) == {560.0}


def test_void_figure_has_its_reason_and_no_bar() -> None:
    """Nobody can read a value off a figure during which something failed."""
    picture = drawn(figure("json.c8.cpu", failures=("ours: 3 bad answers",), ours=50.0, haproxy=20.0))
    assert lengths(picture) == {}
    assert "VOID: ours: 3 bad answers" in texts(picture)
    assert not any("50.0" in text for text in texts(picture))


@pytest.mark.parametrize("hostile", ['<b>&"x"</b>', "a\x00b\x1b[0m", "]]>", "line\nline", "é 中 ÷"])
def test_hostile_text_is_written_and_not_obeyed(hostile: str) -> None:
    """Whatever an error message holds, the picture stays well-formed and has no element of that text's making."""
    picture = drawn(figure("json.c8.cpu", failures=(hostile,), ours=1.0))
    assert {element.tag.removeprefix(NAME) for element in picture.iter()} <= {"svg", "style", "rect", "text", "line"}
    assert any(text.startswith("VOID: ") for text in texts(picture))


def test_facts_are_written_as_they_are() -> None:
    """Reserved letters come back from a reader of XML unchanged."""
    assert "machine: 2 x <test> & more" in texts(drawn())


def test_difference_below_zero_has_an_empty_bar() -> None:
    """A side that measures faster than none at all is shown with its number and no length."""
    picture = drawn(figure("latency.p50", Section.LATENCY, ours=-3.0, haproxy=10.0))
    assert lengths(picture)["latency.p50", "ours"] == 0
    assert any(text.startswith("-3.00") for text in texts(picture))


def test_rungs_are_a_line_and_one_rung_stands_for_them_as_a_bar() -> None:
    """Of several numbers of connections each is a point, evenly spaced by doublings, higher values higher up."""
    rungs = {1: 60.0, 8: 50.0, 64: 40.0, 1024: 45.0}
    picture = drawn(*(figure(f"json.c{rung}.cpu", ours=value, haproxy=20.0) for rung, value in rungs.items()))
    line = points(picture, "ours")
    assert len(line) == 4
    assert [y for _, y in line] == [*sorted(y for _, y in line[:3]), line[3][1]]
    (first, second, third, last) = (x for x, _ in line)
    assert second - first == pytest.approx(third - second)
    assert last - third == pytest.approx((second - first) * 4 / 3, abs=0.02)
    assert {name for name, _ in lengths(picture)} == {"json.c8.cpu"}
    assert {"1", "8", "64", "1,024"} <= set(texts(picture))


def test_line_is_to_scale_from_zero() -> None:
    """Distances from the bottom have the ratios of the values."""
    picture = drawn(figure("json.c1.cpu", ours=60.0, haproxy=20.0), figure("json.c8.cpu", ours=30.0, haproxy=15.0))
    (_, top), (_, middle) = points(picture, "ours")
    (_, low), _ = points(picture, "haproxy")
    zero = top + 200
    assert (zero - middle) / (zero - top) == pytest.approx(0.5, abs=1e-3)
    assert (zero - low) / (zero - top) == pytest.approx(1 / 3, abs=1e-3)


def test_sides_far_apart_get_a_logarithmic_scale() -> None:
    """It is named, and equal ratios are equal distances."""
    picture = drawn(
        figure("json.c1.cpu", ours=100.0, litellm=10_000.0), figure("json.c8.cpu", ours=10.0, litellm=1000.0)
    )
    (_, ours_1), (_, ours_8) = points(picture, "ours")
    (_, other_1), (_, other_8) = points(picture, "litellm")
    assert ours_8 - ours_1 == pytest.approx(other_8 - other_1, abs=0.02)
    assert any("logarithmic" in text for text in texts(picture))
    grid = sorted(float(line.attrib["y1"]) for line in picture.iter(f"{NAME}line") if line.attrib["class"] == "grid")
    assert min(lower - upper for upper, lower in pairwise(grid)) > 14


def test_void_rung_is_left_out_of_the_line_and_named() -> None:
    """Its neighbours are joined, and a sentence says what is missing."""
    rungs = [figure(f"json.c{rung}.cpu", ours=50.0) for rung in (1, 64)]
    picture = drawn(*rungs, figure("json.c8.cpu", failures=("wrk: 1 x read",), ours=50.0))
    assert len(points(picture, "ours")) == 2
    assert "VOID at 8 connections: wrk: 1 x read" in texts(picture)


def test_ladder_without_a_good_rung_is_only_named() -> None:
    """A run in which everything failed still makes a picture."""
    rungs = [figure(f"json.c{rung}.cpu", failures=("down",), ours=50.0) for rung in (1, 8)]
    assert sum("VOID at" in text for text in texts(drawn(*rungs))) == 2


def test_labels_at_the_ends_of_lines_do_not_lie_on_each_other() -> None:
    """Sides with the same value have labels one below the other."""
    picture = drawn(*(figure(f"json.c{rung}.cpu", ours=50.0, haproxy=50.0, nginx=49.9) for rung in (1, 8)))
    heights = sorted(
        float(text.attrib["y"])
        for text in picture.iter(f"{NAME}text")
        if (text.text or "").split(" ")[0] in ("ours", "haproxy", "nginx") and float(text.attrib["x"]) > 700
    )
    assert len(heights) == 3
    assert min(after - before for before, after in pairwise(heights)) >= 12.9


def test_budgets_have_marks_at_target_and_stretch() -> None:
    """Bars are shares of the target: one that misses it passes the mark, one without a value has the marks alone."""
    judged = (
        Judged(Budget("json.c8.cpu", "ratio", 2.0, 1.5), 3.0, Verdict.MISSED),
        Judged(Budget("memory.idle", "ours", 40.0), 20.0, Verdict.MET),
        Judged(Budget("latency.p99", "ratio", 2.0, 1.0), None, Verdict.VOID),
    )
    picture = drawn(judged=judged)
    bars = {bar.attrib["data-budget"]: bar for bar in picture.iter(f"{NAME}rect") if "data-budget" in bar.attrib}
    marks = [float(line.attrib["x1"]) for line in picture.iter(f"{NAME}line") if line.attrib["class"] == "mark"]
    stretches = [float(line.attrib["x1"]) for line in picture.iter(f"{NAME}line") if "stretch" in line.attrib["class"]]
    assert len(set(marks)) == 1
    target = marks[0] - 150
    assert float(bars["json.c8.cpu"].attrib["width"]) == pytest.approx(target * 1.5, abs=0.02)
    assert float(bars["memory.idle"].attrib["width"]) == pytest.approx(target * 0.5, abs=0.02)
    assert [stretch - 150 for stretch in stretches] == pytest.approx([target * 0.75, target * 0.5], abs=0.02)
    assert "latency.p99" not in bars
    assert any("MISSED" in text for text in texts(picture))


def test_same_run_makes_the_same_bytes() -> None:
    """The picture depends on its figures alone, and it needs nothing from outside."""
    given = (figure("json.c8.cpu", ours=50.0, haproxy=20.0), figure("latency.p50", Section.LATENCY, ours=9.0))
    first = charts.draw(FACTS, given, ())
    assert charts.draw(FACTS, given, ()) == first
    assert "href" not in first
    assert "url(" not in first


def test_nothing_leaves_the_sheet() -> None:
    """Everything that is drawn lies between the edges of the picture."""
    picture = drawn(*(figure(f"json.c{rung}.cpu", ours=50.0, haproxy=20.0) for rung in (1, 8)))
    height = float(picture.attrib["height"])
    heights = [
        float(element.attrib[name]) for element in picture.iter() for name in ("y", "cy") if name in element.attrib
    ]
    assert min(heights) > 0
    assert max(heights) < height
