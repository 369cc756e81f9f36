"""Tools that a provider runs, at a lane that has some of its own."""

from typing import Any

import pytest
from msgspec import Raw

from busbar_fast.dialects.preparing.hosted import fitting_hosted
from busbar_fast.dialects.translator import Abilities, Hosting
from busbar_fast.ir.report import Action, Entry, Report
from busbar_fast.ir.requests import ChoiceMode, HostedTool, Place, Request, Tool, ToolChoice
from tests.dialects.preparing.targets import HERE, LANE, NARROW, THERE

MAPPING = LANE._replace(options={"hosted_tools": "map"})
SEARCHING = Hosting(frozenset(("allowed_domains", "place")), name="look")
ABLE = NARROW._replace(hosted={"web_search": SEARCHING, "code_execution": Hosting()}, takes_hosted_beside=True)
ALONE = ABLE._replace(takes_hosted_beside=False)
SEARCH, CODE = HostedTool("web_search", HERE, Raw(b"{}")), HostedTool("code_execution", HERE, Raw(b"{}"))
THEIR_SEARCH, THEIR_CODE = HostedTool("web_search", THERE, Raw()), HostedTool("code_execution", THERE, Raw())
DROPPED, MAPPED = Entry(Action.DROPPED, "hosted_tools"), Entry(Action.MAPPED, "hosted_tools", "web_search")


def fitted(
    *hosted: HostedTool, target: Abilities = ABLE, lane: Any = MAPPING, **members: Any
) -> tuple[list[HostedTool], list[Entry]]:
    """Return what becomes of the tools of a request with these members, and what is noted."""
    report = Report()
    return fitting_hosted(Request(HERE, hosted=list(hosted), **members), target, lane, report), report.entries


@pytest.mark.parametrize("options", [{}, {"hosted_tools": "drop"}])
def test_nothing_is_mapped_unless_the_lane_says_so(options: dict[str, str | bool]) -> None:
    """IR §6, step 5: they are dropped, all in one entry."""
    assert fitted(SEARCH, CODE, lane=LANE._replace(options=options)) == ([], [DROPPED])


def test_a_lane_that_maps_runs_its_own() -> None:
    """Gemini §4: one of the same kind, which its writer spells; each kind is told by its name."""
    found, entries = fitted(SEARCH, CODE)
    assert found == [THEIR_SEARCH, THEIR_CODE]
    assert entries == [MAPPED, Entry(Action.MAPPED, "hosted_tools", "code_execution")]
    assert (SEARCH.owner, SEARCH.raw) == (HERE, Raw(b"{}"))


def test_kinds_that_the_target_has_not_stay_at_home() -> None:
    """Gemini §4: only the search in the web and code are mapped; what is the target's own is let through."""
    own = HostedTool("maps", THERE, Raw(b"{}"))
    assert fitted(HostedTool("maps", HERE, Raw(b"{}")), own, SEARCH) == ([own, THEIR_SEARCH], [DROPPED, MAPPED])
    assert fitted(SEARCH, target=NARROW) == ([], [DROPPED])


def test_one_of_a_kind_is_enough() -> None:
    """Gemini §4: a vendor may have two searches, the target would refuse to have its own twice."""
    assert fitted(SEARCH, SEARCH) == ([THEIR_SEARCH], [MAPPED, DROPPED])


@pytest.mark.parametrize(
    ("names", "target", "is_kept"),
    [
        (["f"], ABLE, True),
        (["f", "look"], ABLE, False),
        (["f"], ALONE, False),
        ([], ALONE, True),
    ],
)
def test_functions_go_first(names: list[str], target: Abilities, *, is_kept: bool) -> None:
    """IR §1: a target that takes no two tools of one name, or no such tool beside functions, has nothing to refuse."""
    found, entries = fitted(SEARCH, target=target, tools=[Tool(name) for name in names])
    assert (found, entries) == (([THEIR_SEARCH], [MAPPED]) if is_kept else ([], [DROPPED]))


@pytest.mark.parametrize(
    ("choice", "found", "entries"),
    [
        (ToolChoice(ChoiceMode.AUTO), [THEIR_SEARCH], [MAPPED]),
        (ToolChoice(ChoiceMode.REQUIRED), [THEIR_SEARCH], [MAPPED]),
        (ToolChoice(ChoiceMode.NAMED, "f"), [THEIR_SEARCH], [MAPPED]),
        (ToolChoice(ChoiceMode.NONE), [], [Entry(Action.MAPPED, "tool_choice")]),
        (ToolChoice(ChoiceMode.AUTO, allowed=["f"]), [], [DROPPED]),
    ],
)
def test_what_may_not_be_used_is_not_there(choice: ToolChoice, found: list[HostedTool], entries: list[Entry]) -> None:
    """IR case 32: that nothing is called, or nothing but some functions, holds for these tools too."""
    assert fitted(SEARCH, tools=[Tool("f")], tool_choice=choice) == (found, entries)


def test_what_can_be_said_of_a_tool_is_kept() -> None:
    """Gemini §4: options that both sides have arrive, the others are dropped and told by their name."""
    place = Place("Brest")
    rich = HostedTool("web_search", HERE, Raw(b"{}"), ["a.test"], ["b.test"], place, "low", has_more=True)
    (found,), entries = fitted(rich)
    assert found == HostedTool("web_search", THERE, Raw(), ["a.test"], place=place)
    assert entries == [
        MAPPED,
        Entry(Action.DROPPED, "hosted_tools", "blocked_domains"),
        Entry(Action.DROPPED, "hosted_tools", "context_size"),
        DROPPED,
    ]
