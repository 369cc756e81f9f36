"""Finding and splicing members, next to building the document: `python -m perf.micro.bench_json_scan`."""

import json
from collections.abc import Callable
from functools import partial

import orjson

from busbar_fast.wire.json_scan import MemberScanner, find_members, insert_member, remove_member, splice
from perf.micro.stopwatch import print_table

NAMES = frozenset((b"model", b"stream", b"stream_options"))
READ_BYTES = 65_536

LINE = "The tide turns twice a day, and whoever keeps the harbour writes it down.\n"
SAID = 'He said "run step %d" and wrote {"path": "/srv/x%d", "args": [1, 2]}; then nothing happened for a long while, '
REST = "so we went on to the next step, tried it again under another name, and that was that until the morning came."

SHORT = b'{"model":"gpt-4o","messages":[{"role":"user","content":"Hello, how are you?"}]}'
ANSWER = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":1760001000,"model":"gpt-4o","choices":[{"index":0,'
    b'"message":{"role":"assistant","content":"Fine, thank you. And you?","refusal":null},"logprobs":null,'
    b'"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21,'
    b'"prompt_tokens_details":{"cached_tokens":0}},"system_fingerprint":"fp_1"}'
)


def request(messages: list[object], **members: object) -> bytes:
    """Return a chat request, spelled as Python's own encoder does."""
    return json.dumps({"model": "gpt-4o", "messages": messages, "stream": True} | members).encode()


def said(number: int) -> str:
    """Return a message of an agent, full of quotes."""
    return SAID % (number, number) + REST


def tool(number: int) -> object:
    """Return a tool with a nested schema."""
    properties = {"path": {"type": "string"}, "mode": {"type": "string", "enum": ["r", "w"]}}
    schema = {"type": "object", "properties": properties, "required": ["path"]}
    return {"name": f"tool{number}", "description": "Does one thing.", "input_schema": schema}


AGENT: list[object] = [{"role": "user", "name": f"agent-{n}", "content": said(n)} for n in range(500)]
PARTS: list[object] = [{"role": "user", "content": [{"type": "text", "text": said(n)}]} for n in range(500)]

SAMPLES = {
    "short request": SHORT,
    "short answer": ANSWER,
    "long prompt": request([{"role": "system", "content": LINE * 50}, {"role": "user", "content": LINE * 1_950}]),
    "agent, 500 messages": request(AGENT),
    "agent, indented": json.dumps({"model": "gpt-4o", "messages": AGENT}, indent=2).encode(),
    "agent, content parts, 30 tools": request(PARTS, tools=[tool(n) for n in range(30)]),
    "agent, quotes escaped twice": request([{"role": "tool", "content": json.dumps(said(n))} for n in range(500)]),
    "image of 1 MiB": request([{"role": "user", "content": "data:image/png;base64," + "iVBORw0K" * 131_072}]),
}


def scan(document: bytes, read_bytes: int) -> object:
    """Find the members in pieces of a size."""
    scanner = MemberScanner(NAMES)
    for start in range(0, len(document), read_bytes):
        scanner.feed(document[start : start + read_bytes])
    return scanner.finish()


def calls(document: bytes) -> list[Callable[[], object]]:
    """Return what is timed on one document."""
    return [
        partial(find_members, document, NAMES),
        partial(scan, document, READ_BYTES),
        partial(scan, document, 1_460),
        partial(orjson.loads, document),
    ]


def main() -> None:
    """Print both tables."""
    columns = ("find_members", "pieces 64 KiB", "pieces 1460", "orjson.loads")
    rows = [(f"{name} ({len(document):,} B)", calls(document)) for name, document in SAMPLES.items()]
    print_table("ns per call", columns, rows)
    model_at = find_members(SHORT, NAMES)[b"model"][-1]
    edits: list[tuple[str, list[Callable[[], object]]]] = [
        ("splice model", [partial(splice, SHORT, [(model_at, b'"other"')])]),
        ("insert stream_options", [partial(insert_member, SHORT, b"stream_options", b'{"include_usage":true}')]),
        ("remove usage (finds it, too)", [partial(remove_member, ANSWER, b"usage")]),
        ("decode and encode", [lambda: orjson.dumps(orjson.loads(SHORT) | {"model": "other"})]),
    ]
    print_table("ns per call", ("",), edits)


if __name__ == "__main__":
    main()
