"""The ground that agents are tested on: a gateway as a deployment file makes it, and vendors that tell a story.

A vendor looks at how often the model has spoken in the conversation it is sent, and tells the next turn in its dialect.
It refuses what the vendor itself would refuse, and it can be off duty.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import orjson

from busbar_fast.mock.memo import Memo
from busbar_fast.mock.script import Script
from busbar_fast.mock.server import play
from busbar_fast.wire.exchange import Exchange
from tests.agents.arrivals import Arrived, arrived
from tests.agents.refusals import complaint
from tests.agents.stories import Story
from tests.system.engines import running
from tests.system.gateways import Front, Received
from tests.system.sdk import OWN_KEY, POOL, Stand
from tests.system.serving import Serve, Site

MODELS: Final = {
    "openai": "gpt-5.1",
    "responses": "gpt-5.1-codex",
    "anthropic": "claude-sonnet-4-5",
    "gemini": "gemini-2.5-pro",
    "bedrock": "anthropic.claude-sonnet-4-20250514-v1:0",
    "cohere": "command-a-reasoning-08-2025",
}
COUNTED: Final = 7123  # what a counter of tokens answers
_OFF_DUTY: Final = Script(status=503)


class Vendor:
    """See the module. `is_on_duty` says whether it tells the turn of a number; `received` is everybody's."""

    def __init__(
        self, number: int, dialect: str, story: Story, received: list[Received], is_on_duty: Callable[[int], bool]
    ) -> None:
        self.number = number
        self.dialect = dialect
        self.refusals: list[str] = []
        self._story = story
        self._received = received
        self._is_on_duty = is_on_duty
        self._memo = Memo()

    async def serve(self, exchange: Exchange) -> None:
        """Answer one request."""
        body = await exchange.read_body()
        head = exchange.head
        script = self._next(orjson.loads(body), is_counting=b"count" in head.target)
        if script is not _OFF_DUTY:
            self._received.append(Received(self.number, head.method, head.target, dict(head.fields), body))
        await play(exchange, *self._memo.play(head.method, head.target, head.fields, body, script))

    def _next(self, document: object, *, is_counting: bool) -> Script:
        """Return what it says to a request; who counts is always on duty."""
        assert isinstance(document, dict)
        turn = arrived(self.dialect, document).turns
        if not (is_counting or self._is_on_duty(turn)):
            return _OFF_DUTY
        refusal = complaint(self.dialect, document)
        if refusal:
            self.refusals.append(refusal)
            return Script(status=400, error=refusal)
        if is_counting:
            return Script(usage_in=COUNTED)
        return self._story.script(turn, self.dialect)


class Scene(Stand):
    """A stand whose backends are vendors."""

    def __init__(self, front: Front, vendors: list[Vendor]) -> None:
        super().__init__(front)
        self.vendors = vendors

    @property
    def turns(self) -> list[tuple[str, Received, Arrived]]:
        """What vendors were asked in each turn, but for counting: who, what came, and what that says."""
        asked = [one for one in self.received if b"count" not in one.target]
        dialects = [self.vendors[one.backend].dialect for one in asked]
        return [(who, one, arrived(who, one.document)) for who, one in zip(dialects, asked, strict=True)]

    @property
    def refusals(self) -> list[str]:
        """Why vendors have refused requests."""
        return [refusal for vendor in self.vendors for refusal in vendor.refusals]


def deployment(ports: dict[str, int]) -> str:
    """Return a deployment of one pool with a lane for each of these dialects."""
    lines = ["listen: 127.0.0.1:0", "auth: {mode: none}", "providers:"]
    lines += [
        f"  p-{name}: {{protocol: {name}, base_url: 'http://127.0.0.1:{port}', api_key_env: UP_KEY}}"
        for name, port in ports.items()
    ]
    lines.append("models:")
    lines += [
        f"  m-{name}: {{provider: p-{name}, upstream_model: '{MODELS[name]}', reasoning: true, prompt_caching: true}}"
        for name in ports
    ]
    members = ", ".join(f"{{target: m-{name}}}" for name in ports)
    trip = "{mode: consecutive, consecutive_n: 99}"
    lines += ["pools:", f"  {POOL}:", f"    members: [{members}]"]
    lines += [
        f"    breaker: {{base_cooldown_secs: 1, max_cooldown_secs: 1, trip: {trip}}}",
        "    failover: {max_hops: 6}",
    ]
    return "\n".join(lines) + "\n"


@asynccontextmanager
async def scene(
    folder: Path, serve: Serve, story: Story, dialects: Sequence[str], who: Callable[[int], str] | None = None
) -> AsyncIterator[Scene]:
    """Run a gateway over a vendor of each dialect; `who` says which one tells a turn, else everybody does."""
    async with AsyncExitStack() as stack:
        received: list[Received] = []
        vendors = []
        backends = []
        for number, dialect in enumerate(dialects):
            vendor = Vendor(number, dialect, story, received, _duty(dialect, who))
            vendors.append(vendor)
            backends.append(await stack.enter_async_context(serve(vendor.serve)))
        ports = {vendor.dialect: site.port for vendor, site in zip(vendors, backends, strict=True)}
        made = await stack.enter_async_context(running(folder, deployment(ports), UP_KEY=OWN_KEY))
        engine = made.engine
        door = Site(engine._service, engine._listener, made.port)
        yield Scene(Front(door, list(engine.lanes.values()), list(backends), received), vendors)
        assert all(lane.state.inflight == 0 for lane in engine.lanes.values())


def _duty(dialect: str, who: Callable[[int], str] | None) -> Callable[[int], bool]:
    return lambda turn: who is None or who(turn) == dialect
