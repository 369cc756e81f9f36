"""What a vendor reads in a request: its own reading of its own dialect, written without ours.

`arrived` returns the system prompt, the tools, and what was said, in order. Entries are tuples that begin with their
kind: `("user", text)`, `("image", mime, base64)`, `("thought", text, seal)`, `("secret", sealed)`, `("said", text)`,
`("call", id, name, arguments)`, `("result", id, text, has_failed)`.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

Entry = tuple[Any, ...]
Document = Mapping[str, Any]


class Arrived(NamedTuple):
    """See the module. `tools` are names, descriptions and schemas; a schema is None where free text is taken."""

    system: str
    tools: list[tuple[str, str, Any]]
    entries: list[Entry]

    def of(self, *kinds: str) -> list[Entry]:
        """Return the entries of some kinds."""
        return [entry for entry in self.entries if entry[0] in kinds]

    @property
    def turns(self) -> int:
        """How often the model has spoken: a turn begins where it says something after somebody else did."""
        count, was_model = 0, False
        for entry in self.entries:
            is_model = entry[0] in ("said", "call")
            count += is_model and not was_model
            was_model = is_model or (was_model and entry[0] in ("thought", "secret"))
        return count


def arrived(dialect: str, document: Document) -> Arrived:
    """Return what a request says."""
    return _READERS[dialect](document)


def texts(content: Any) -> list[str]:
    """Return the texts of a content."""
    if isinstance(content, str):
        return [content]
    return [part["text"] for part in content or () if "text" in part]


def _data_url(url: str) -> Entry:
    mime, _, content = url.removeprefix("data:").partition(";base64,")
    return ("image", mime, content)


# Anthropic


def _anthropic(document: Document) -> Arrived:
    entries: list[Entry] = []
    for message in document["messages"]:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        for block in blocks:
            entries += _anthropic_block(block, "said" if message["role"] == "assistant" else "user")
    tools = [(tool["name"], tool.get("description", ""), tool["input_schema"]) for tool in document.get("tools", [])]
    return Arrived("\n".join(texts(document.get("system"))), tools, entries)


def _anthropic_block(block: Document, speaker: str) -> Iterator[Entry]:
    kind = block["type"]
    if kind == "text":
        yield (speaker, block["text"])
    elif kind == "image":
        yield ("image", block["source"]["media_type"], block["source"]["data"])
    elif kind == "thinking":
        yield ("thought", block["thinking"], block["signature"])
    elif kind == "redacted_thinking":
        yield ("secret", block["data"])
    elif kind == "tool_use":
        yield ("call", block["id"], block["name"], block["input"])
    else:
        assert kind == "tool_result", kind
        content = block.get("content") or []
        yield ("result", block["tool_use_id"], "".join(texts(content)), block.get("is_error", False))
        for part in content if isinstance(content, list) else ():
            if part["type"] == "image":
                yield ("image", part["source"]["media_type"], part["source"]["data"])


# Bedrock


def _bedrock(document: Document) -> Arrived:
    entries: list[Entry] = []
    for message in document["messages"]:
        for block in message["content"]:
            entries += _bedrock_block(block, "said" if message["role"] == "assistant" else "user")
    specs = [tool["toolSpec"] for tool in document["toolConfig"]["tools"] if "toolSpec" in tool]
    tools = [(spec["name"], spec.get("description", ""), spec["inputSchema"]["json"]) for spec in specs]
    return Arrived("\n".join(texts(document.get("system"))), tools, entries)


def _bedrock_block(block: Document, speaker: str) -> Iterator[Entry]:
    if "text" in block:
        yield (speaker, block["text"])
    elif "image" in block:
        yield ("image", f"image/{block['image']['format']}", block["image"]["source"]["bytes"])
    elif "reasoningContent" in block:
        thought = block["reasoningContent"]
        if "redactedContent" in thought:
            yield ("secret", thought["redactedContent"])
        else:
            yield ("thought", thought["reasoningText"]["text"], thought["reasoningText"].get("signature"))
    elif "toolUse" in block:
        yield ("call", block["toolUse"]["toolUseId"], block["toolUse"]["name"], block["toolUse"]["input"])
    elif "toolResult" in block:
        result = block["toolResult"]
        parts = result["content"]
        said = "".join(part.get("text", json.dumps(part["json"]) if "json" in part else "") for part in parts)
        yield ("result", result["toolUseId"], said, result.get("status") == "error")
        yield from (one for part in parts if "image" in part for one in _bedrock_block(part, speaker))
    else:
        assert set(block) == {"cachePoint"}, block


# Gemini


def _gemini(document: Document) -> Arrived:
    entries: list[Entry] = []
    for content in document["contents"]:
        for part in content["parts"]:
            entries += _gemini_part(part, "said" if content["role"] == "model" else "user")
    declared = [one for tool in document.get("tools", []) for one in tool["functionDeclarations"]]
    tools = [(one["name"], one.get("description", ""), one.get("parametersJsonSchema")) for one in declared]
    return Arrived("\n".join(texts(document.get("systemInstruction", {}).get("parts"))), tools, entries)


def _gemini_part(part: Document, speaker: str) -> Iterator[Entry]:
    if "functionCall" in part:
        call = part["functionCall"]
        yield ("call", call["id"], call["name"], call["args"], part.get("thoughtSignature"))
    elif "functionResponse" in part:
        result = part["functionResponse"]
        response = result["response"]
        has_failed = "error" in response
        said = response.get("error" if has_failed else "output", response)
        yield ("result", result["id"], said if isinstance(said, str) else json.dumps(said), has_failed)
        yield from (one for inner in result.get("parts", []) for one in _gemini_part(inner, speaker))
    elif "inlineData" in part:
        yield ("image", part["inlineData"]["mimeType"], part["inlineData"]["data"])
    elif part.get("thought"):
        yield ("thought", part["text"], part.get("thoughtSignature"))
    else:
        yield (speaker, part["text"])


# OpenAI, both


def _openai(document: Document) -> Arrived:
    system: list[str] = []
    entries: list[Entry] = []
    for message in document["messages"]:
        if message["role"] in ("system", "developer"):
            system += texts(message["content"])
        elif message["role"] == "tool":
            entries.append(("result", message["tool_call_id"], "".join(texts(message["content"])), False))
        else:
            entries += _openai_message(message)
    return Arrived("\n".join(system), [_openai_tool(tool) for tool in document.get("tools", [])], entries)


def _openai_tool(tool: Document) -> tuple[str, str, Any]:
    what = tool[tool["type"]]
    return what["name"], what.get("description", ""), what.get("parameters")


def _openai_message(message: Document) -> Iterator[Entry]:
    speaker = "said" if message["role"] == "assistant" else "user"
    if message.get("reasoning_content"):
        yield ("thought", message["reasoning_content"], None)
    content = message.get("content")
    for part in _parts(content):
        yield (speaker, part["text"]) if part["type"] == "text" else _data_url(part["image_url"]["url"])
    for call in message.get("tool_calls", []):
        if call["type"] == "custom":
            yield ("call", call["id"], call["custom"]["name"], {"input": call["custom"]["input"]})
        else:
            yield ("call", call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))


def _responses(document: Document) -> Arrived:
    system = [document["instructions"]] if document.get("instructions") else []
    entries: list[Entry] = []
    for item in document["input"]:
        if item.get("role") in ("system", "developer"):
            system += texts(item["content"])
        else:
            entries += _responses_item(item)
    tools = [(tool["name"], tool.get("description", ""), tool.get("parameters")) for tool in document.get("tools", [])]
    return Arrived("\n".join(system), tools, entries)


def _responses_item(item: Document) -> Iterator[Entry]:
    kind = item.get("type", "message")
    if kind == "message":
        speaker = "said" if item["role"] == "assistant" else "user"
        content = item["content"]
        for part in [{"type": "input_text", "text": content}] if isinstance(content, str) else content:
            yield (speaker, part["text"]) if part["type"].endswith("_text") else _data_url(part["image_url"])
    elif kind == "reasoning":
        said = "".join(part["text"] for part in (*item.get("content", ()), *item["summary"]))
        yield ("thought", said, item.get("encrypted_content"))
    elif kind == "function_call":
        yield ("call", item["call_id"], item["name"], json.loads(item["arguments"]))
    elif kind == "custom_tool_call":
        yield ("call", item["call_id"], item["name"], {"input": item["input"]})
    else:
        assert kind in ("function_call_output", "custom_tool_call_output"), kind
        output = item["output"]
        yield ("result", item["call_id"], "".join(texts(output)), False)
        for part in output if isinstance(output, list) else ():
            if part["type"] == "input_image":
                yield _data_url(part["image_url"])


# Cohere


def _cohere(document: Document) -> Arrived:
    system: list[str] = []
    entries: list[Entry] = []
    for message in document["messages"]:
        if message["role"] == "system":
            system += texts(message["content"])
        elif message["role"] == "tool":
            said = [part["text"] if "text" in part else part["document"]["data"] for part in _parts(message["content"])]
            entries.append(("result", message["tool_call_id"], "".join(map(str, said)), False))
        else:
            entries += _cohere_message(message)
    return Arrived("\n".join(system), [_openai_tool(tool) for tool in document.get("tools", [])], entries)


def _parts(content: Any) -> list[Any]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content or ())


def _cohere_message(message: Document) -> Iterator[Entry]:
    speaker = "said" if message["role"] == "assistant" else "user"
    plan: list[Any] = _parts(message.get("tool_plan"))
    for part in (*_parts(message.get("content")), *plan):
        if part["type"] == "thinking":
            yield ("thought", part["thinking"], None)
        else:
            yield (speaker, part["text"]) if part["type"] == "text" else _data_url(part["image_url"]["url"])
    for call in message.get("tool_calls", []):
        yield ("call", call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))


_READERS: Mapping[str, Callable[[Document], Arrived]] = {
    "anthropic": _anthropic,
    "bedrock": _bedrock,
    "gemini": _gemini,
    "openai": _openai,
    "responses": _responses,
    "cohere": _cohere,
}
