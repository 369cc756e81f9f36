"""A client whose vendor searches the web, at lanes of other vendors: over real sockets, with the official client."""

import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from anthropic import AsyncAnthropic

from tests.golden import hosted
from tests.system.engines import running
from tests.system.gateways import Backend, Received, Utterance, script_of
from tests.system.serving import Serve

SEARCH: dict[str, Any] = {
    "type": "web_search_20250305",
    "name": "web_search",
    "max_uses": 3,
    "allowed_domains": ["u.test"],
}
USER: dict[str, Any] = {"role": "user", "content": "What is élan?"}
LANES: dict[str, dict[str, Any]] = {
    "gemini": {"googleSearch": {}},
    "responses": {"type": "web_search", "filters": {"allowed_domains": ["u.test"]}},
}


def utterances(lane: str) -> list[Utterance]:
    """Return what a lane says: once whole, then as a stream; the last one is asked for whole answers only."""
    whole = Utterance(b"application/json", json.dumps(hosted.ANSWERS[lane]).encode())
    return [whole, Utterance(b"text/event-stream", hosted.STREAMS[lane])] if lane in LANES else [whole]


async def test_search_of_a_client_is_run_by_every_lane_that_maps(tmp_path: Path, serve: Serve) -> None:
    """Gemini §4, IR §8: asked whole and in a stream, cited, and repeated to a lane of the client's own vendor."""
    received: list[Received] = []
    async with AsyncExitStack() as stack:
        providers, models, pools = [], [], []
        for number, lane in enumerate((*LANES, "anthropic")):
            backend = Backend(number, script_of(utterances(lane)), received)
            site = await stack.enter_async_context(serve(backend.serve))
            place = f"base_url: 'http://127.0.0.1:{site.port}', api_key: none"
            providers.append(f"p{number}: {{protocol: {lane}, {place}}}")
            models.append(f"m{number}: {{provider: p{number}, upstream_model: up, hosted_tools: map}}")
            pools.append(f"{lane}-pool: {{members: [{{target: m{number}}}], emit_translation_header: true}}")
        text = "\n".join(
            f"{name}: {{{', '.join(entries)}}}"
            for name, entries in (("providers", providers), ("models", models), ("pools", pools))
        )
        made = await stack.enter_async_context(running(tmp_path, f"{text}\n"))
        client = await stack.enter_async_context(
            AsyncAnthropic(api_key="k", base_url=f"http://127.0.0.1:{made.port}", max_retries=0)
        )
        for lane, tool in LANES.items():
            await _search(client, received, lane, tool)
        assert [one.backend for one in received] == [0, 0, 2, 2, 1, 1, 2, 2]


async def _search(client: AsyncAnthropic, received: list[Received], lane: str, tool: dict[str, Any]) -> None:
    """Ask a lane twice, and the vendor of the client once more with what was answered."""
    asked: dict[str, Any] = {"model": f"{lane}-pool", "max_tokens": 99, "messages": [USER], "tools": [SEARCH]}
    response = await client.messages.with_raw_response.create(**asked)
    assert received[-1].document["tools"] == [tool]
    told = response.headers["x-busbar-translation"]
    assert (";dropped=hosted_tools" in told, ";mapped=hosted_tools" in told) == (True, True)
    whole = await response.parse()
    async with client.messages.stream(**asked) as stream:
        streamed = await stream.get_final_message()
    for message in (whole, streamed):
        assert {block.type for block in message.content} == {"text"}
        assert message.stop_reason == "end_turn"
        notes = [note for block in message.content for note in getattr(block, "citations", None) or []]
        assert [note.url for note in notes] == [hosted.URL]
        turns = [USER, {"role": "assistant", "content": [block.model_dump() for block in message.content]}, USER]
        await client.messages.create(**asked | {"model": "anthropic-pool", "messages": turns, "stream": False})
        repeated = received[-1]
        assert repeated.document["messages"][1]["content"][-1]["text"].endswith(hosted.SAID[1])
        assert b"bbf1" not in repeated.body
        assert b"encrypted_index" not in repeated.body
