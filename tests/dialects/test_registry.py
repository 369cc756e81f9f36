"""The six dialects: the facts that the manual states."""

import pytest

from busbar_fast.dialects.embedder import ClientEmbedder, LaneEmbedder
from busbar_fast.dialects.registry import (
    DIALECTS,
    MODEL_OPTIONS,
    SPECIAL_OPTIONS,
    client_embedder,
    lane_embedder,
    name_of,
    speak,
    speak_all,
    translator,
)


def test_the_dialects_are_those_of_the_manual() -> None:
    """Config §5: six protocols with their default paths, by name."""
    assert {name: facts.path for name, facts in DIALECTS.items()} == {
        "anthropic": "/v1/messages",
        "openai": "/v1/chat/completions",
        "gemini": "/v1beta/models/{model}:generateContent",
        "bedrock": "/model/{model}/converse",
        "responses": "/v1/responses",
        "cohere": "/v2/chat",
    }
    assert all(facts.name == name for name, facts in DIALECTS.items())


def test_options_belong_to_their_dialects() -> None:
    """Config §14, X8 and X24: which protocol knows which option of a provider or the gateway."""
    assert {name: dict(facts.provider_options) for name, facts in DIALECTS.items() if facts.provider_options} == {
        "anthropic": {"anthropic_version": "2023-06-01"},
        "openai": {"stream_usage": True},
        "bedrock": {"region": ""},
    }
    assert [name for name, facts in DIALECTS.items() if facts.takes_path_base] == ["gemini"]
    assert {name: dict(facts.settings) for name, facts in DIALECTS.items() if facts.settings} == {
        "responses": {"stateful_fallback": ("reject", "drop")}
    }


def test_every_text_is_checked() -> None:
    """Config §14, X24: no option that is a text gets into a request unchecked, and no default is refused."""
    for facts in DIALECTS.values():
        texts = {name: value for name, value in facts.provider_options.items() if isinstance(value, str)}
        assert [name for name in texts if not facts.option_checks[name]("a\r\nb: c")] == []
        assert [name for name, value in texts.items() if value and facts.option_checks[name](value)] == []
    assert [name for name, facts in DIALECTS.items() if facts.complaint_of_key("x:")] == ["bedrock"]


def test_regions_are_known_by_their_labels() -> None:
    """Config §5: the labels of a host that a region follows."""
    assert {name: facts.region_labels for name, facts in DIALECTS.items() if facts.region_labels} == {
        "bedrock": ("bedrock-runtime", "bedrock-runtime-fips", "bedrock", "bedrock-fips")
    }


def test_options_of_models_are_words_or_flags() -> None:
    """Config §14, X24: the settings that writers look at."""
    assert MODEL_OPTIONS == {
        "token_limit_field": ("max_tokens", "max_completion_tokens"),
        "tool_id_style": ("mistral9", "hex"),
        "schema_dialect": ("json_schema", "openapi"),
        "inline_system": (),
        "thinking": ("level", "budget"),
        "hosted_tools": ("drop", "map"),
    }


def test_tools_that_a_vendor_runs_are_mapped_where_the_vendor_has_some() -> None:
    """Gemini §4: three dialects have them, so elsewhere the setting says nothing."""
    able = {name for name in DIALECTS if translator(speak(name)).abilities.hosted}
    assert able == {"anthropic", "gemini", "responses"}
    assert {"hosted_tools": able} == SPECIAL_OPTIONS


def test_every_dialect_can_be_spoken() -> None:
    """Operations §5: each protocol of the manual has its front door; OpenAI's speaks where nobody claims a path."""
    spoken = speak_all()
    assert {name_of(dialect) for dialect in spoken} == set(DIALECTS)
    assert [speak(name_of(dialect)) for dialect in spoken] == spoken
    assert name_of(spoken[0]) == "openai"


@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect_is_translated_by_its_own_folder(name: str) -> None:
    """IR §11: what translates a dialect stands beside it and knows its name."""
    assert translator(speak(name)).abilities.name == name


def test_vectors_are_made_by_lanes_that_say_so() -> None:
    """OpenAI §13: which dialects have a call for them, and whose clients may be served by lanes of another one."""
    making = {name for name in DIALECTS if speak(name).embed_action}
    assert making == {"openai", "gemini", "bedrock", "cohere"}
    assert {name for name in making if isinstance(lane_embedder(speak(name)), LaneEmbedder)} == making
    asking = making - {"bedrock"}
    assert {name for name in making if isinstance(client_embedder(speak(name)), ClientEmbedder)} == asking
