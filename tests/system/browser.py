"""A headless Chromium, driven over a pair of pipes by its DevTools protocol; nothing beside the browser is needed.

Messages are JSON, each ended by a zero byte. A page remembers what it asked for and what it complained about.
"""

import asyncio
import base64
import fcntl
import itertools
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import ceil
from pathlib import Path
from typing import Any

import pytest

from tests.system.serving import until

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
INSTALL = "apt-get install --no-install-recommends chromium-headless-shell fonts-dejavu-core"
LIMIT_S = 15.0
_FLAGS = (
    "--headless",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--hide-scrollbars",
    "--no-proxy-server",
    "about:blank",
)
_LOWEST = 10  # descriptors of ours stay clear of the two that the browser takes


def find_browser() -> str:
    """Return the path of a browser; without one there is no test, and that is no success."""
    found = next((path for path in map(shutil.which, BROWSERS) if path), None)
    if found is None:
        pytest.fail(f"none of {', '.join(BROWSERS)} is installed: {INSTALL}")
    return found


class Browser:
    """A browser that was started."""

    def __init__(self, reads: int, writes: int) -> None:
        self._reads = reads
        self._writes = writes
        self._received = bytearray()
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self.pages: dict[str, Page] = {}
        asyncio.get_running_loop().add_reader(reads, self._on_readable)

    def close(self) -> None:
        """Let go of the pipes."""
        asyncio.get_running_loop().remove_reader(self._reads)
        os.close(self._reads)
        os.close(self._writes)

    async def call(self, method: str, session: str = "", **parameters: Any) -> Any:
        """Return what a method returns."""
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        self._answers[number] = answer = asyncio.get_running_loop().create_future()
        os.write(self._writes, json.dumps(message).encode() + b"\0")
        async with asyncio.timeout(LIMIT_S):
            return await answer

    async def open(self, url: str, **shape: Any) -> "Page":
        """Return a page that is being loaded."""
        target = await self.call("Target.createTarget", url="about:blank")
        session = await self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        page = self.pages[session["sessionId"]] = Page(self, session["sessionId"])
        await page.begin(url, **shape)
        return page

    def _on_readable(self) -> None:
        piece = os.read(self._reads, 1 << 20)
        if not piece:
            asyncio.get_running_loop().remove_reader(self._reads)
        self._received += piece
        *messages, rest = bytes(self._received).split(b"\0")
        self._received = bytearray(rest)
        for message in map(json.loads, messages):
            self._on_message(message)

    def _on_message(self, message: dict[str, Any]) -> None:
        answer = self._answers.pop(message.get("id", 0), None)
        if answer is None:
            page = self.pages.get(message.get("sessionId", ""))
            if page is not None:
                page.on_event(message["method"], message["params"])
        elif answer.done():  # nobody waits any more
            return
        elif "error" in message:
            answer.set_exception(AssertionError(message["error"]))
        else:
            answer.set_result(message["result"])


class Page:
    """One page."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session
        self.requested: list[tuple[str, dict[str, str]]] = []  # URL and header fields
        self.complaints: list[str] = []

    async def begin(self, url: str, *, width: int = 1200, height: int = 800, scheme: str = "light") -> None:
        """Load a URL in a window of a size, for somebody who likes it light or dark."""
        for area in ("Page", "Runtime", "Network", "Log"):
            await self._call(f"{area}.enable")
        is_phone = width < 600
        await self._call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=is_phone
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        await self._call("Emulation.setEmulatedMedia", features=features)
        await self._call("Page.navigate", url=url)
        await self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def on_event(self, method: str, event: dict[str, Any]) -> None:
        """Take note of what happens."""
        if method == "Network.requestWillBeSent":
            self.requested.append((event["request"]["url"], event["request"]["headers"]))
        elif method == "Log.entryAdded":
            self.complaints.append(f"{event['entry']['text']} {event['entry'].get('url', '')}")
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(event["exceptionDetails"]))

    async def run(self, script: str) -> Any:
        """Return the value of an expression."""
        got = await self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in got, got
        return got["result"].get("value")

    async def wait(self, script: str) -> None:
        """Wait until an expression is true; fail with what the page shows if that takes too long."""
        try:
            async with asyncio.timeout(LIMIT_S):
                while not await self.run(script):  # noqa: ASYNC110  the browser sets no events for tests
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"{script}: {await self.text('body')} {self.complaints}") from None

    async def text(self, selector: str) -> str:
        """Return what a person reads there."""
        return str(await self.run(f"document.querySelector({json.dumps(selector)}).innerText"))

    async def table(self, name: str) -> list[list[str]]:
        """Return the rows of a table, its head first, without the columns that are not shown."""
        script = (
            f"[...document.querySelectorAll('#{name} tr')].map(row => [...row.children]"
            ".filter(cell => cell.offsetParent).map(cell => cell.innerText))"
        )
        return list(await self.run(script))

    async def fill_in(self, selector: str, text: str) -> None:
        """Type a text somewhere and press Enter, as a person does."""
        await self.run(f"document.querySelector({json.dumps(selector)}).focus()")
        await self._call("Input.insertText", text=text)
        for kind in ("keyDown", "keyUp"):
            await self._call("Input.dispatchKeyEvent", type=kind, key="Enter", text="\r", windowsVirtualKeyCode=13)

    async def shoot(self) -> bytes:
        """Return a picture of the window, as PNG."""
        return base64.b64decode((await self._call("Page.captureScreenshot", format="png"))["data"])

    async def wait_for(self, selector: str) -> None:
        """Wait until something is to be seen."""
        await self.wait(f"document.querySelector({json.dumps(selector)})?.checkVisibility()")

    async def wait_without(self, selector: str) -> None:
        """Wait until something is not to be seen."""
        await self.wait(f"!document.querySelector({json.dumps(selector)})?.checkVisibility()")

    async def click(self, selector: str) -> None:
        """Press a button."""
        await self.run(f"document.querySelector({json.dumps(selector)}).click()")

    async def pass_time(self, seconds: float) -> None:
        """Let so much time pass in the page."""
        for _ in range(ceil(seconds * 2)):
            await self.run("new Promise(done => setTimeout(done, 500))")

    async def _call(self, method: str, **parameters: Any) -> Any:
        return await self._browser.call(method, self._session, **parameters)


def new_pipe() -> tuple[int, int]:
    """Return both ends of a pipe, with numbers that the browser does not take."""
    ends = os.pipe()
    reads, writes = (fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, _LOWEST) for end in ends)
    for end in ends:
        os.close(end)
    return reads, writes


@asynccontextmanager
async def browsing(folder: Path) -> AsyncIterator[Browser]:
    """Run a browser with a profile of its own."""
    command = [find_browser(), f"--user-data-dir={folder / 'profile'}", *_FLAGS]
    if os.geteuid() == 0:  # its sandbox does not work for root, and the page is ours
        command.append("--no-sandbox")
    (its_in, our_out), (our_in, its_out) = new_pipe(), new_pipe()
    with subprocess.Popen(  # noqa: ASYNC220  it is there in no time
        ["/bin/bash", "-c", f'exec "$@" 3<&{its_in} 4>&{its_out}', "bash", *command],
        pass_fds=(its_in, its_out),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as child:
        os.close(its_in)
        os.close(its_out)
        browser = Browser(our_in, our_out)
        try:
            yield browser
            await browser.call("Browser.close")
            await until(lambda: child.poll() is not None, LIMIT_S)
        finally:
            child.kill()
            browser.close()
