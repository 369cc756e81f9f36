"""The neutral model: counts, reports, ids of calls and seals on their way through clients of other vendors."""

import re
from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar_fast.ir import answers, blocks, events, report, requests, seals, tool_ids, tool_names
from busbar_fast.ir.answers import Usage
from busbar_fast.ir.blocks import Seal, Text, Thinking

PREFIXES = st.sampled_from(["call_", "toolu_", "tooluse_"])
PLAIN = st.text("ABCxyz019_-", min_size=1, max_size=24)
NATIVE = st.tuples(st.sampled_from(["toolu_", "tooluse_", "call_", "fc_", ""]), PLAIN).map("".join)


def test_counts_add_up() -> None:
    """IR §4: what went in is what came from a cache, what was put into one, and the rest."""
    assert Usage(1, 2, 3, 4).total_input == 8
    assert Usage().total_input == 0


@pytest.mark.parametrize(
    ("first", "later", "merged"),
    [
        (Usage(), Usage(), Usage()),
        (Usage(5), Usage(), Usage(5)),
        (Usage(5), Usage(0), Usage(5)),
        (Usage(), Usage(0), Usage(0)),
        (Usage(None, 3, 1, 2, 1, 1), Usage(7, None, None, None, None, None), Usage(7, 3, 1, 2, 1, 1)),
        (Usage(5, 1), Usage(6, 2), Usage(6, 2)),
    ],
)
def test_later_counts_win(first: Usage, later: Usage, merged: Usage) -> None:
    """IR §5: what comes later counts, unless it says nothing or zero."""
    assert first.merged(later) == merged


def test_redacted_thoughts_have_no_text() -> None:
    """IR §3: only their vendor can read them."""
    assert Thinking(sealed="x").is_redacted
    assert not Thinking("x").is_redacted


def test_system_prompt_is_its_texts() -> None:
    """IR §3: whatever else stands there is not said."""
    asked = requests.Request("d", system=[Text("a"), Thinking("b"), Text("c")])
    assert requests.system_text(asked) == ["a", "c"]
    assert requests.Request("d").sampling is not requests.Request("d").sampling


def test_same_loss_is_noted_once() -> None:
    """IR case 11, §9: in order, with a label of the list; names that a client invented are one and not kept."""
    noted = report.Report()
    noted.dropped("seed")
    noted.dropped("seed")
    noted.clamped("temperature", "2")
    noted.mapped("plan")
    noted.truncated("stop")
    noted.filled("max_tokens")
    for number in range(10_000):
        noted.dropped(f"invented_by_a_client_{number}")
    assert [(entry.action.name, entry.field, entry.detail) for entry in noted.entries] == [
        ("DROPPED", "seed", ""),
        ("CLAMPED", "temperature", "2"),
        ("MAPPED", "plan", ""),
        ("TRUNCATED", "stop", ""),
        ("FILLED", "max_tokens", ""),
        ("DROPPED", "other", ""),
    ]
    assert noted.said[:2] == [("dropped", "seed", ""), ("clamped", "temperature", "2")]


def test_kinds_of_blocks_are_told_apart() -> None:
    """IR §5: a stream's blocks are of four kinds, and reasons have one number each."""
    assert len(set(events.Kind)) == 4
    assert len(set(answers.Reason)) == 12
    assert bytes(blocks.NO_ARGS) == b"{}"


# Ids of calls


@given(NATIVE, PREFIXES)
def test_shown_id_comes_back(tool_id: str, prefix: str) -> None:
    """IR case 25: at most 40 characters of the usual alphabet, and the way back unless it is a hash."""
    shown = tool_ids.shown(tool_id, prefix)
    assert len(shown) <= 40
    assert shown.startswith(prefix)
    if not shown.startswith(f"{prefix}bbz"):
        assert tool_ids.restored(shown, prefix) == tool_id


@pytest.mark.parametrize(
    ("tool_id", "prefix", "shown"),
    [
        ("toolu_1", "call_", "call_bba1"),
        ("tooluse_1", "call_", "call_bbb1"),
        ("call_1", "toolu_", "toolu_bbo1"),
        ("fc_1", "toolu_", "toolu_bbf1"),
        ("x1", "toolu_", "toolu_bbxx1"),
        ("call_1", "call_", "call_1"),
        ("call_bba1", "call_", "call_bbobba1"),
        ("anything at all", "", "anything at all"),
    ],
)
def test_ids_look_native(tool_id: str, prefix: str, shown: str) -> None:
    """IR §3: one letter for the prefix that an id had; a vendor without one takes any."""
    assert tool_ids.shown(tool_id, prefix) == shown
    assert tool_ids.restored(shown, prefix) == tool_id


@pytest.mark.parametrize("tool_id", ["a|b", "x" * 41, "toolu_", "call_" + "y" * 60, "\ud800"])
def test_odd_ids_become_hashes(tool_id: str) -> None:
    """IR case 25: stable, short, and never turned back."""
    shown = tool_ids.shown(tool_id, "call_")
    assert (len(shown), shown) == (30, tool_ids.hashed(tool_id, "call_"))
    assert tool_ids.restored(shown, "call_") == shown


def test_older_spelling_is_understood() -> None:
    """IR cases 26, 27: hex behind the own prefix, nothing else."""
    assert tool_ids.shown("toolu_1", "call_", in_hex=True) == "call_bb1746f6f6c755f31"
    assert tool_ids.restored("call_bb1746f6f6c755f31", "call_") == "toolu_1"
    for untouched in ("call_bb1", "call_bb1zz", "call_bb1ff", "toolu_bb131", "bb161626364", "call_bbq1", "call_bba"):
        assert tool_ids.restored(untouched, "call_") == untouched
    assert tool_ids.restored("bb161626364", "") == "bb161626364"


def test_invented_ids_are_the_same_again() -> None:
    """IR §3: the same place and tool, the same id."""
    assert tool_ids.invented("a", "f") == tool_ids.invented("a", "f") != tool_ids.invented("b", "f")
    assert tool_ids.invented("a", "f").startswith("call_")


# Seals


@given(st.sampled_from(["anth", "bedr", "gemi", "resp"]), st.text(min_size=1), st.sampled_from(["anth", "gemi"]))
def test_seals_come_back(family: str, value: str, own: str) -> None:
    """IR case 21: from a client of any vendor, also after a library decoded them and encoded them again."""
    seal = Seal(family, value)
    shown = seals.shown(seal, own)
    if family != own:
        assert seals.restored(shown, own) == seal
        assert seals.restored(shown.replace("-", "+").replace("_", "/"), own) == seal
        assert len(b64decode(shown, altchars=b"-_")) > 0
    else:
        assert shown == value


@pytest.mark.parametrize("text", ["c2ln", "bbf1", "bbf1anth", "bbf1anth?", "bbf1anth_w==", "bbf1ANTHc2ln"])
def test_bare_seals_are_the_clients_own(text: str) -> None:
    """IR §3: what is no envelope is what the client's own vendor gave it."""
    assert seals.restored(text, "gemi") == Seal("gemi", text)


@pytest.mark.parametrize("name", ["files.read", "9 lives", "", "é" * 70, "x" * 300, "a.b", "a:b", "\ud800"])
def test_likeness_of_a_name_fits_everywhere(name: str) -> None:
    """Bedrock case 30: a letter first, few characters, the same each time, and no two names have the same."""
    likeness = tool_names.fitting(name)
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,49}", likeness)
    assert likeness == tool_names.fitting(name)
    assert likeness != tool_names.fitting(name + "_")
