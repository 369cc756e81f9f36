"""The six dialects by name: the only list of them."""

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, cast

from busbar_fast.dialects.base import Facts, complaint_of_pair, complaint_of_region, complaint_of_word, no_complaint
from busbar_fast.dialects.dialect import Dialect

if TYPE_CHECKING:
    from busbar_fast.dialects.embedder import ClientEmbedder, LaneEmbedder  # these bring the neutral model
    from busbar_fast.dialects.translator import Translator

_LIST = (
    Facts(
        "anthropic",
        "/v1/messages",
        options={"anthropic_version": ("2023-06-01", complaint_of_word)},
    ),
    Facts(
        "openai",
        "/v1/chat/completions",
        options={"stream_usage": (True, no_complaint)},
    ),
    Facts("gemini", "/v1beta/models/{model}:generateContent", takes_path_base=True),
    Facts(
        "bedrock",
        "/model/{model}/converse",
        region_labels=("bedrock-runtime", "bedrock-runtime-fips", "bedrock", "bedrock-fips"),
        options={"region": ("", complaint_of_region)},
        complaint_of_key=complaint_of_pair,
    ),
    Facts("responses", "/v1/responses", settings={"stateful_fallback": ("reject", "drop")}),
    Facts("cohere", "/v2/chat"),
)

DIALECTS = {facts.name: facts for facts in _LIST}

# Settings of a model that some writers look at: the words each may have; none means true or false.
MODEL_OPTIONS: dict[str, tuple[str, ...]] = {
    "token_limit_field": ("max_tokens", "max_completion_tokens"),
    "tool_id_style": ("mistral9", "hex"),
    "schema_dialect": ("json_schema", "openapi"),
    "inline_system": (),
    "thinking": ("level", "budget"),
    "hosted_tools": ("drop", "map"),
}

# Those of them that lanes of some dialects alone look at, and of which.
SPECIAL_OPTIONS: dict[str, frozenset[str]] = {"hosted_tools": frozenset(("anthropic", "gemini", "responses"))}

# The folder of each. The first one speaks for every path that none of them claims.
_FOLDERS = {
    "openai": "openai_chat",
    "responses": "openai_responses",
    "anthropic": "anthropic",
    "cohere": "cohere",
    "gemini": "gemini",
    "bedrock": "bedrock",
}


def speak(name: str) -> Dialect:
    """Return a dialect by name."""
    return cast("Dialect", import_module(f"busbar_fast.dialects.{_FOLDERS[name]}").DIALECT)


def speak_all() -> list[Dialect]:
    """Return every dialect, the one for unclaimed paths first."""
    return [speak(name) for name in _FOLDERS]


@cache  # HOT: 3 µs in place of each of two look-ups a request, CPython 3.11, 2026-11
def translator(dialect: Dialect) -> "Translator":
    """Return what translates a dialect; it is imported with its first use."""
    return cast("Translator", import_module(f"busbar_fast.dialects.{_folder_of(dialect)}.translation").TRANSLATOR)


def lane_embedder(dialect: Dialect) -> "LaneEmbedder":
    """Return what asks lanes of a dialect for vectors, of one that makes them."""
    return cast("LaneEmbedder", import_module(f"busbar_fast.dialects.{_folder_of(dialect)}.embedding").EMBEDDER)


def client_embedder(dialect: Dialect) -> "ClientEmbedder":
    """Return what serves clients of a dialect with vectors, of one in which they ask for them."""
    return cast("ClientEmbedder", import_module(f"busbar_fast.dialects.{_folder_of(dialect)}.embedding").EMBEDDER)


def _folder_of(dialect: Dialect) -> str:
    return type(dialect).__module__.removeprefix("busbar_fast.dialects.").partition(".")[0]


def name_of(dialect: Dialect) -> str:
    """Return a dialect's name, for labels and lists."""
    return next(name for name in _FOLDERS if speak(name) is dialect)
