"""Answers on their way to clients of another dialect."""

import pytest
from msgspec import Raw, structs

from busbar_fast.dialects.preparing import prepare_answer
from busbar_fast.dialects.spelling import Spelling
from busbar_fast.dialects.translator import Abilities
from busbar_fast.ir import seals, tool_ids
from busbar_fast.ir.answers import Answer, Reason, Stop, TokenLogprob, Usage
from busbar_fast.ir.blocks import (
    AnyBlock,
    Code,
    CodeResult,
    Held,
    Inline,
    Media,
    MediaKind,
    Opaque,
    Seal,
    Text,
    Thinking,
    ToolUse,
)
from busbar_fast.ir.report import Report
from tests.dialects.preparing.targets import HERE, NARROW, THERE, WIDE, noted

SEALED = Seal("here", "c2Vj/+8=")
EXT = {"fingerprint": Raw(b'"fp"')}


def shown(answer: Answer, client: Abilities = NARROW) -> tuple[Answer, list[str]]:
    """Return an answer as a client gets it, and what was noted."""
    report = Report()
    return prepare_answer(answer, client, Spelling(client, "salt"), "fallback", report), noted(report)


def blocks(*given: AnyBlock, client: Abilities = NARROW) -> tuple[list[AnyBlock], list[str]]:
    """Return the blocks of an answer as a client gets them, and what was noted."""
    answer, fields = shown(Answer(HERE, blocks=list(given)), client)
    return answer.blocks, fields


def test_an_answer_loses_what_tells_its_vendor() -> None:
    """IR §6, the response side: id, fingerprints and members without a field go unnoted, the rest stays."""
    answer = Answer(
        HERE,
        "id_1",
        "model-1",
        1700000000,
        [Text("t", ext=EXT)],
        Stop(Reason.MAX_TOKENS, "length", HERE),
        Usage(1, 2),
        [TokenLogprob("t", Raw(b"-0.10"))],
        EXT,
    )
    left, fields = shown(answer, WIDE)
    assert left == structs.replace(answer, id="", ext=None, blocks=[Text("t")])
    assert fields == []
    assert answer.blocks == [Text("t", ext=EXT)]


def test_an_answer_of_the_own_dialect_keeps_its_id_and_members() -> None:
    """IR §3: members without a field go back to whoever wrote them."""
    answer = Answer(THERE, "id_1", "model-1", blocks=[Text("t", ext=EXT), Opaque(THERE, Raw(b"{}"))], ext=EXT)
    assert shown(answer) == (answer, [])


def test_the_model_of_the_lane_stands_in_for_one_that_is_not_named() -> None:
    """IR case 56: the name of who serves is in every answer."""
    assert shown(Answer(HERE))[0].model == "fallback"
    assert shown(Answer(HERE, model="m"))[0].model == "m"


@pytest.mark.parametrize("block", [Text("t", seal=SEALED), Thinking("h", seal=SEALED), ToolUse("i", "n", seal=SEALED)])
def test_a_seal_travels_in_an_envelope_and_comes_back(block: AnyBlock) -> None:
    """IR case 21: whoever opens it gets the same value."""
    ((left,), fields) = blocks(structs.replace(block), client=WIDE)
    assert left.seal is not None
    assert (left.seal.family, fields) == ("abcd", [])
    assert left.seal.value.startswith("bbf1here")
    assert seals.restored(left.seal.value, "abcd") == SEALED
    ((bare,), fields) = blocks(block)
    assert (bare.seal, fields) == (None, ["signature"])


def test_a_seal_of_the_clients_family_is_shown_bare() -> None:
    """IR §3, signatures: it is the client's own."""
    assert blocks(Thinking("h", seal=Seal("abcd", "v")), client=WIDE) == ([Thinking("h", seal=Seal("abcd", "v"))], [])


def test_a_redacted_thought_travels_in_an_envelope_or_not_at_all() -> None:
    """IR case 24: not a byte of it leaks to who has no place for it."""
    redacted = Thinking(sealed=SEALED.value, seal=SEALED)
    ((left,), fields) = blocks(redacted, client=WIDE)
    assert isinstance(left, Thinking)
    assert seals.restored(left.sealed, "abcd") == SEALED
    assert left.seal == Seal("abcd", left.sealed)
    assert fields == []
    assert blocks(redacted) == ([], ["redacted_thinking"])
    assert blocks(Thinking(sealed="x"), client=WIDE) == ([], ["redacted_thinking"])


def test_ids_of_calls_look_like_the_clients_own() -> None:
    """IR case 25: foreign ones are spelt in a way that leads back, missing ones are made up, each another one."""
    (first, second, third), _ = blocks(ToolUse("call_1", "n"), ToolUse("", "n"), ToolUse("", "n"), client=WIDE)
    assert isinstance(first, ToolUse)
    assert isinstance(second, ToolUse)
    assert isinstance(third, ToolUse)
    assert tool_ids.restored(first.id, "t_") == "call_1"
    assert first.id.startswith("t_")
    assert second.id.startswith("t_")
    assert second.id != third.id


@pytest.mark.parametrize("reason", list(Reason))
def test_an_answer_with_a_call_ends_for_the_call(reason: Reason) -> None:
    """IR §6, the response side: an end without a reason, or with the usual one, is promoted; others stay."""
    stop = Stop(reason, "word", HERE)
    answer, _ = shown(Answer(HERE, blocks=[Text("t"), ToolUse("i", "n")], stop=stop))
    is_promoted = reason in (Reason.END_TURN, Reason.NONE)
    assert answer.stop == (Stop(Reason.TOOL_USE, "word", HERE) if is_promoted else stop)
    assert shown(Answer(HERE, blocks=[Text("t")], stop=stop))[0].stop == stop


def test_code_becomes_text_for_who_has_no_place_for_it() -> None:
    """IR §3: it is fenced, and noted; a seal on it goes the way of all seals."""
    code, result = Code("1", "PY", seal=Seal("abcd", "v")), CodeResult("2", "ok")
    assert blocks(code, result, client=WIDE) == ([code, result], [])
    assert blocks(code, result) == ([Text("```py\n1\n```\n"), Text("```\n2\n```\n")], ["code", "signature"])


def test_what_only_its_vendor_can_read_is_dropped() -> None:
    """IR case 50: opaque blocks and files that lie with a vendor; those of the client's own vendor stay."""
    own: list[AnyBlock] = [
        Opaque(THERE, Raw(b"{}")),
        Media(MediaKind.IMAGE, Held(THERE, Raw(b"{}"))),
        Media(MediaKind.IMAGE, Inline("aGk=")),
    ]
    assert blocks(*own) == (own, [])
    assert blocks(Opaque(HERE, Raw(b"{}")), Media(MediaKind.IMAGE, Held(HERE, Raw(b"{}")))) == (
        [],
        ["opaque_block", "vendor_file"],
    )


def test_thoughts_that_nobody_sealed_say_so() -> None:
    """IR case 22: to clients whose vendor seals, so that they can be told when they come back; to others nothing."""
    (thought,), fields = blocks(Thinking("hm"), client=WIDE)
    assert thought.seal == Seal("abcd", seals.shown(seals.UNSEALED, "abcd"))
    assert fields == []
    assert blocks(Thinking("hm"))[0][0].seal is None
    assert blocks(Thinking("hm"), client=WIDE._replace(takes_unsealed_thinking=True))[0][0].seal is None
