"""What lies in deploy/: every series, label and word that the dashboard and the alerts name is there to be scraped."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from busbar_fast.mock.script import Script
from tests.house.source import ROOT
from tests.system.fleets import call_of
from tests.system.governing import Board, governed
from tests.system.promql import Expression
from tests.system.scrapes import GET, Series, parse
from tests.system.serving import Serve

DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "busbar-fast.json").read_text(encoding="utf-8"))
RULES = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yaml").read_text(encoding="utf-8"))
ALERTS: list[dict[str, Any]] = [rule for group in RULES["groups"] for rule in group["rules"]]
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
ITS_OWN = {"instance", "job"}  # labels that Prometheus adds
UP = ("up", (("job", "busbar-fast"),))  # a series that it adds, by the job of the manual
EVERYTHING = "observability: {token_metrics: true}\n"


def dashboard_expressions() -> list[str]:
    """Return every expression of the dashboard, those of its variables among them."""
    variables = [one["query"]["query"] for one in DASHBOARD["templating"]["list"] if one["type"] == "query"]
    # What is asked for is a label, so it stands where a series is grouped by it.
    variables = [re.sub(r"^label_values\((\w+), (\w+)\)$", r"sum by (\2) (\1)", query) for query in variables]
    return variables + [target["expr"] for panel in PANELS for target in panel["targets"]]


EXPRESSIONS = dashboard_expressions() + [alert["expr"] for alert in ALERTS]


async def scraped(board: Board) -> Series:
    """Let something of everything happen; return what a scrape tells then."""
    key = await board.mint(max_budget_cents=100)
    for dialect in ("openai", "anthropic"):
        assert (await board.ask(key, dialect=dialect)).status == 200
    line = b"Authorization: Bearer %b\r\n" % key["secret"].encode()
    client = board.fleet.site.connect()
    lossy = call_of("anthropic", "pool", fields=line).replace(b'{"model"', b'{"top_k":1,"model"')
    client.send(re.sub(rb"Content-Length: (\d+)", lambda found: b"Content-Length: %d" % (int(found[1]) + 10), lossy))
    assert (await client.read_answer()).status == 200
    broken = board.fleet.site.connect()
    broken.send(b"no HTTP at all\r\n\r\n")
    await broken.read_all()
    client.send(GET.replace(b"\r\n\r\n", b"\r\n%b\r\n" % line) % b"/metrics")
    answer = await client.read_answer()
    assert answer.status == 200
    return parse(answer.body)


def complaints(text: str, series: Series) -> Iterator[str]:
    """Yield what an expression names that a scrape does not hold."""
    expression = Expression(text)
    assert expression.selectors, text
    labels: dict[str, set[str]] = {}
    words: dict[tuple[str, str], set[str]] = {}
    for name, pairs in series:
        labels.setdefault(name, set()).update(dict(pairs))
        for label, value in pairs:
            words.setdefault((name, label), set()).add(value)
    for selector in expression.selectors:
        if selector.series not in labels:
            yield f"{selector.series}: no such series"
            continue
        known = labels[selector.series] | ITS_OWN
        used = {label for label, _, _ in selector.matchers} | set(expression.groupings)
        yield from (f"{selector.series}: no label {label}" for label in sorted(used - known))
        for label, sign, value in selector.matchers:
            for word in [] if value.startswith("$") else value.split("|") if "~" in sign else [value]:
                if word not in words.get((selector.series, label), set()):
                    yield f"{selector.series}: {label} is never {word}"


async def test_everything_that_is_asked_for_is_told(tmp_path: Path, serve: Serve) -> None:
    """Issue: each series, label and fixed word that is named is in a scrape of a gateway with all features."""
    pool, member = "route: cheapest", "cost_per_mtok: 1"
    async with governed(tmp_path, serve, Script(), Script(), pool=pool, member=member, top=EVERYTHING) as board:
        series = {**await scraped(board), UP: 1.0}
    found = {text: list(complaints(text, series)) for text in EXPRESSIONS}
    assert {text: wrong for text, wrong in found.items() if wrong} == {}


def test_dashboard_can_be_imported() -> None:
    """Issue: one file, a variable for the data source, and every panel says what it shows."""
    kinds = {one["name"]: one["type"] for one in DASHBOARD["templating"]["list"]}
    assert kinds == {"datasource": "datasource", "instance": "query", "pool": "query"}
    assert (DASHBOARD["title"], DASHBOARD["uid"], "id" in DASHBOARD) == ("busbar-fast", "busbar-fast", False)
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in PANELS:
        assert panel["description"].endswith(".")
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert all(target["datasource"] == panel["datasource"] for target in panel["targets"])
        assert all('instance=~"$instance"' in target["expr"] for target in panel["targets"])
    assert len({panel["title"] for panel in PANELS}) == len(PANELS)


def test_panels_lie_beside_each_other() -> None:
    """Issue: no panel covers another, and none sticks out."""
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert sorted(taken & cells) == []
        assert at["x"] + at["w"] <= 24
        taken |= cells


def test_every_alert_can_be_acted_on() -> None:
    """Issue: a name of its own, a wait, a severity, and words that say what is wrong with what."""
    assert len({alert["alert"] for alert in ALERTS}) == len(ALERTS) >= 10
    for alert in ALERTS:
        assert set(alert) == {"alert", "expr", "for", "labels", "annotations"}
        assert re.fullmatch(r"Busbar[A-Za-z]+", alert["alert"])
        assert re.fullmatch(r"[1-9]\d*[mh]", alert["for"])
        assert alert["labels"]["severity"] in {"critical", "warning", "info"}
        summary, description = alert["annotations"]["summary"], alert["annotations"]["description"]
        assert summary
        assert not summary.endswith(".")
        assert description.endswith(".")
        named = set(re.findall(r"\$labels\.(\w+)", summary + description))
        grouped, labelled = Expression(alert["expr"]).groupings, {"pool", "lane", "key", "outcome", "instance"}
        assert named <= (set(grouped) if grouped else labelled)


def test_manual_names_every_alert() -> None:
    """Issue: whoever is woken finds what to do."""
    manual = (ROOT / "docs" / "watching.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(Busbar\w+)` \|", manual, re.MULTILINE)) == {alert["alert"] for alert in ALERTS}


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('sum by (pool) (rate(a_total{pool="p"}[5m]))', []),
        ('a_total{pool=~"p|q", instance=~"$instance"} > 0.5 or vector(0)', []),
        ("rate(b_total[5m])", ["b_total: no such series"]),
        ("sum by (lane) (a_total)", ["a_total: no label lane"]),
        ('a_total{lane="p"}', ["a_total: no label lane", "a_total: lane is never p"]),
        ('a_total{pool=~"p|r"}', ["a_total: pool is never r"]),
        ("a_total / on (lane) c", ["a_total: no label lane", "c: no label lane"]),
    ],
)
def test_what_is_not_there_is_found(text: str, wrong: list[str]) -> None:
    """A sample of each kind of mistake is complained about, and nothing else is."""
    series: Series = {("a_total", (("pool", "p"),)): 1, ("a_total", (("pool", "q"),)): 1, ("c", ()): 1}
    assert list(complaints(text, series)) == wrong


@pytest.mark.parametrize(
    "text", ["rate(a[5m]", "a)", "rat(a[5m])", "a{b}", "a{b=c}", "a[5 m]", "a ? b", "sum a", "{a='b'}", '(a {b="c"}}']
)
def test_what_is_no_expression_is_refused(text: str) -> None:
    """Whatever the reader does not know fails, so it passes nothing over."""
    with pytest.raises((AssertionError, IndexError)):
        Expression(text)


async def test_every_series_is_in_the_manual(tmp_path: Path, serve: Serve) -> None:
    """Operations §7: docs/operations.md lists what a scrape of everything holds, with its labels, and nothing else."""
    pool, member = "route: cheapest", "cost_per_mtok: 1"
    async with governed(tmp_path, serve, Script(), Script(), pool=pool, member=member, top=EVERYTHING) as board:
        series = await scraped(board)
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8").partition("\n## Series\n")[2]
    told: dict[str, set[str]] = {}
    for names, _, labels, _ in re.findall(r"^\| (`busbar.*?) \| (.*?) \| ?(.*?) ?\| (.*) \|$", text, re.MULTILINE):
        told |= {name: set(re.findall(r"`(\w+)`", labels)) for name in re.findall(r"`(\w+)`", names)}
    found: dict[str, set[str]] = {}
    for name, pairs in series:
        bare = re.sub(r"_(bucket|sum|count|created)$", "", name)
        found.setdefault(bare, set()).update(label for label, _ in pairs if label != "le")
    assert told == found
