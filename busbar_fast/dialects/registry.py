"""The six dialects by name: the only list of them."""

from busbar_fast.dialects.base import Facts

_LIST = (
    Facts("anthropic", "/v1/messages", provider_options={"anthropic_version": "2023-06-01"}),
    Facts("openai", "/v1/chat/completions", is_served=True, provider_options={"stream_usage": True}),
    Facts("gemini", "/v1beta/models/{model}:generateContent", takes_path_base=True),
    Facts(
        "bedrock",
        "/model/{model}/converse",
        region_labels=("bedrock-runtime", "bedrock-runtime-fips", "bedrock", "bedrock-fips"),
        provider_options={"region": ""},
    ),
    Facts("responses", "/v1/responses", settings={"stateful_fallback": ("reject", "drop")}),
    Facts("cohere", "/v2/chat"),
)

DIALECTS = {facts.name: facts for facts in _LIST}

# Settings of a model that some writers look at: the words each may have; none means true or false.
MODEL_OPTIONS: dict[str, tuple[str, ...]] = {
    "token_limit_field": ("max_tokens", "max_completion_tokens"),
    "tool_id_style": ("mistral9",),
    "schema_dialect": ("json_schema", "openapi"),
    "inline_system": (),
}
