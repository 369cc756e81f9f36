"""The neutral answer: which text, which pieces, which counts."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar_fast.mock.ask import Ask
from busbar_fast.mock.content import Answer, compose, cut, estimate_tokens, fill_body, logprob_of, mint
from busbar_fast.mock.script import BadKnob, Script, Stop

HELLO = Ask(model="m", prompt="hello")


def encode_text(answer: Answer) -> bytes:
    return orjson.dumps({"text": answer.text})


def test_answer_by_default_echoes_the_prompt() -> None:
    """The last user text comes back in pieces of sixteen characters."""
    answer = compose(Script(), Ask(model="m", prompt="what is the tide?"))
    assert answer.pieces == ("You said: what i", "s the tide?")
    assert answer.stop is Stop.END
    assert not answer.thoughts
    assert not answer.calls


def test_answer_to_no_prompt_says_so() -> None:
    """An empty prompt still gets a text."""
    assert compose(Script(), Ask(model="m", prompt="")).text == "You said nothing."


def test_text_given_is_said_literally() -> None:
    """The script's text replaces the echo, also when it is empty."""
    assert compose(Script(text="Low water 04:12."), HELLO).text == "Low water 04:12."
    assert compose(Script(text=""), HELLO).pieces == ()


def test_deltas_fill_exactly_so_many_pieces() -> None:
    """Text is repeated or cut until every piece is full."""
    assert compose(Script(text="abc", deltas=2, delta_chars=4), HELLO).pieces == ("abca", "bcab")
    assert compose(Script(text="abcdef", deltas=1, delta_chars=2), HELLO).pieces == ("ab",)
    assert [len(piece) for piece in compose(Script(text="", deltas=3), HELLO).pieces] == [16, 16, 16]


def test_tools_replace_the_echo_by_calls() -> None:
    """A call carries its arguments in pieces and gives the stop reason."""
    answer = compose(Script(tools=("tides", "moon"), args='{"port":"Brest"}', delta_chars=6), HELLO)
    assert answer.text == ""
    assert [(call.number, call.name) for call in answer.calls] == [(0, "tides"), (1, "moon")]
    assert answer.calls[0].pieces == ('{"port', '":"Bre', 'st"}')
    assert orjson.dumps({"a": answer.calls[0].raw_args}) == b'{"a":{"port":"Brest"}}'
    assert answer.stop is Stop.TOOL


def test_each_call_may_have_arguments_of_its_own() -> None:
    """A list gives each call its own, digit by digit as it is written, and calls count on from those before."""
    answer = compose(Script(tools=("tides", "moon"), args='[{"at": 1.10}, {"input":"full\\n"}]', first_call=4), HELLO)
    assert [call.args for call in answer.calls] == ['{"at": 1.10}', '{"input":"full\\n"}']
    assert [(call.number, call.serial) for call in answer.calls] == [(0, 4), (1, 5)]
    assert [call.free_text for call in answer.calls] == ["", "full\n"]


def test_thought_and_its_seal_may_be_given() -> None:
    """They are said when it thinks at all, and else there is nothing to say or to seal."""
    answer = compose(Script(thinking=True, thought="Ebb first.", signature="c2VhbA=="), HELLO)
    assert (answer.thought, answer.signature) == ("Ebb first.", "c2VhbA==")
    assert compose(Script(thought="Ebb first."), HELLO).thought == ""


def test_tools_with_text_say_the_text_first() -> None:
    """A given text is kept beside the calls, and a given stop reason wins."""
    answer = compose(Script(tools=("tides",), text="Checking.", stop=Stop.LENGTH), HELLO)
    assert answer.text == "Checking."
    assert answer.stop is Stop.LENGTH


def test_thinking_counts_as_output() -> None:
    """Thinking tokens are a part of the output, never more than all of it."""
    answer = compose(Script(thinking=True), HELLO)
    assert answer.thought == "".join(answer.thoughts) != ""
    assert answer.usage.reasoning == estimate_tokens(answer.thought)
    assert answer.usage.output == estimate_tokens(answer.text) + answer.usage.reasoning
    assert compose(Script(thinking=True, usage_out=2), HELLO).usage.reasoning == 2


def test_usage_given_is_reported() -> None:
    """Counts of the script are used as they are, and the rest of the prompt is neither read from nor put in a cache."""
    usage = compose(Script(usage_in=100, usage_out=7, cached=30, cache_write=20), HELLO).usage
    assert (usage.prompt, usage.output, usage.cached, usage.cache_write) == (100, 7, 30, 20)
    assert usage.uncached == 50
    assert usage.total == 107


def test_usage_not_given_is_estimated() -> None:
    """An estimate is at least one token and has room for the cache counts."""
    assert compose(Script(text=""), Ask(model="m", prompt="")).usage.total == 2
    assert compose(Script(cached=500), HELLO).usage.uncached == 0
    assert compose(Script(), HELLO).usage.cached is None


@given(st.text(max_size=60), st.integers(min_value=1, max_value=400))
def test_filled_body_has_exactly_the_size(text: str, extra_bytes: int) -> None:
    """Whatever the text, quotes and non-ASCII included, the body gets the wanted size."""
    answer = compose(Script(text=text), HELLO)
    size_bytes = len(b'{"text":""}') + extra_bytes
    assert len(fill_body(answer, encode_text, size_bytes)) == size_bytes


def test_filled_body_too_small_is_refused_with_the_least_size() -> None:
    """The refusal says which size would do."""
    with pytest.raises(BadKnob, match="at least 12 for"):
        fill_body(compose(Script(), HELLO), encode_text, 11)


def test_cut_keeps_every_character() -> None:
    """The last piece is what is left."""
    assert cut("abcde", 2) == ("ab", "cd", "e")
    assert cut("", 2) == ()


def test_minted_ids_are_told_apart_and_have_their_length() -> None:
    """Ids of several calls differ and never hold a zero."""
    ids = {mint("call_", 29, number) for number in range(20)}
    assert len(ids) == 20
    assert {len(one) for one in ids} == {29}
    assert not any("0" in one for one in ids)


@given(st.text(max_size=60))
def test_log_probability_is_exact_and_below_zero(text: str) -> None:
    """It lies within -1 and 0 and is the same in any float."""
    assert -1 <= logprob_of(text) < 0
    assert (logprob_of(text) * 16).is_integer()
