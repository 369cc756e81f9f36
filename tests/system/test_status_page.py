"""The status page: what is served at `/ui`, and what a real browser makes of it."""

import base64
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from busbar_fast.mock.script import Script
from busbar_fast.wire.listener import bind
from tests.house.source import ROOT
from tests.system import browser as browsers
from tests.system.browser import Page, browsing, find_browser
from tests.system.fleets import failing, fleet
from tests.system.gateways import Fate
from tests.system.governing import ADMIN, governed
from tests.system.rawclient import Answer, RawClient
from tests.system.serving import Serve

ON = "observability: {status_page: true}\n"
GET = b"GET /ui HTTP/1.1\r\nHost: h\r\n\r\n"
SOURCE = (ROOT / "busbar_fast" / "page" / "status.html").read_text(encoding="utf-8")
TOKEN, SCRAPER = "a-clients-token", "a-scrapers-token"
AUTH = f"auth: {{mode: token, client_tokens: [{TOKEN}]}}"
LANE = "#lanes tbody tr"
NOTHING = "\N{EN DASH}"
TRIP = "breaker: {trip: {mode: consecutive, consecutive_n: 1}, base_cooldown_secs: 50}"


async def get(port: int, raw: bytes = GET, method: bytes = b"GET") -> Answer:
    """Return what stands at the page's path."""
    client = RawClient(port)
    client.send(raw.replace(b"GET", method, 1))
    answer = await client.read_answer(method)
    client.close()
    return answer


# Served


async def test_page_is_there_when_it_is_wanted(tmp_path: Path, serve: Serve) -> None:
    """Issue: off is a plain 404, and a reload turns it on and off for open connections too."""
    async with fleet(tmp_path, serve, Script()) as made:
        text = made.site._file.read_text()
        client = made.site.connect()
        seen = []
        for more in ("", ON, ""):
            assert await made.site.reload(text + more)
            client.send(GET)
            answer = await client.read_answer()
            seen.append((answer.status, answer.fields[b"content-type"]))
        missing = (404, b"application/json")
        assert seen == [missing, (200, b"text/html; charset=utf-8"), missing]


async def test_page_tells_the_browser_what_it_may_do(tmp_path: Path, serve: Serve) -> None:
    """Issue: its own script and style by their hashes, its own server, and nothing else; nobody keeps a copy."""
    async with fleet(tmp_path, serve, Script(), top=ON) as made:
        answer = await get(made.site.port)
        assert answer.body.decode() == SOURCE
        assert answer.fields[b"cache-control"] == b"no-store"
        assert answer.fields[b"x-content-type-options"] == b"nosniff"
        assert answer.fields[b"referrer-policy"] == b"no-referrer"
        rules = dict(rule.split(" ", 1) for rule in answer.fields[b"content-security-policy"].decode().split("; "))
        for name in ("default-src", "base-uri", "form-action", "frame-ancestors"):
            assert rules[name] == "'none'"
        for kind in ("script", "style"):
            (inline,) = re.findall(rf"<{kind}>(.*?)</{kind}>", SOURCE, re.DOTALL)
            digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
            assert rules[f"{kind}-src"] == f"'sha256-{digest}'"
        assert (rules["connect-src"], rules["img-src"]) == ("'self'", "data:")
        head = await get(made.site.port, method=b"HEAD")
        assert (head.status, head.body, head.fields[b"content-length"]) == (200, b"", b"%d" % len(answer.body))
        refused = await get(made.site.port, method=b"DELETE")
        assert (refused.status, refused.fields[b"allow"]) == (405, b"GET, HEAD")
        for path in (b"/ui/", b"/ui/x", b"/UI"):
            assert (await get(made.site.port, GET.replace(b"/ui", path))).status == 404
        assert (await get(made.site.port, GET.replace(b"/ui", b"/ui?x=1"))).status == 200


def test_page_is_of_one_piece() -> None:
    """Issue: no other file, no other host, no markup made of texts, nothing that its policy would have to allow."""
    assert re.findall(r"(?:src|href)=\"([^\"]*)\"", SOURCE) == ["data:,"]
    assert set(re.findall(r"https?://[^\s\"']+", SOURCE)) == {"http://www.w3.org/2000/svg"}  # a name, not an address
    risky = "innerHTML outerHTML insertAdjacentHTML document.write eval( Function( localStorage @import url("
    assert [word for word in risky.split() if word in SOURCE] == []
    assert not re.search(r"<[^>]+ (?:on\w+|style)=", SOURCE)


def test_manual_shows_a_picture() -> None:
    """Issue: a small PNG, where the manual says it is."""
    (name,) = re.findall(r"!\[[^]]+\]\((\S+)\)", (ROOT / "docs" / "watching.md").read_text(encoding="utf-8"))
    raw = (ROOT / "docs" / name).read_bytes()
    assert raw.startswith(b"\x89PNG")
    assert len(raw) < 150_000


async def test_page_tells_nothing_to_who_is_not_let_in(tmp_path: Path, serve: Serve) -> None:
    """Governance §1.1: the page is the same for everybody, numbers and names need a token."""
    async with fleet(tmp_path, serve, Script(), top=ON) as made:
        text = made.site._file.read_text()
        assert await made.site.reload(text.replace("auth: {mode: none}", AUTH))
        answer = await get(made.site.port)
        assert (answer.status, answer.body.decode()) == (200, SOURCE)
        for path in (b"/stats", b"/metrics"):
            assert (await get(made.site.port, GET.replace(b"/ui", path))).status == 401
        assert await made.site.reload(text.replace("auth: {mode: none}", AUTH).replace(ON, ""))
        assert (await get(made.site.port)).status == 401  # as any path that is nobody's


async def test_page_stays_with_the_pages_that_it_asks(tmp_path: Path, serve: Serve) -> None:
    """Governance §10: `admin_listen` moves `/admin` and nothing else, so the page stays where `/stats` is."""
    async with governed(tmp_path, serve, Script(), top=ON) as board:
        engine = board.fleet.site.engine
        engine.open_back(bind("127.0.0.1", 0))
        back = engine.back_addresses[0][1]
        login = b"Host: h\r\nAuthorization: Bearer %b\r\n" % ADMIN.encode()
        for path in (b"/ui", b"/stats", b"/metrics"):
            assert (await get(back, GET.replace(b"/ui", path).replace(b"Host: h\r\n", login))).status == 404
        assert (await get(board.fleet.site.port)).status == 200


# In a browser


@asynccontextmanager
async def page_of(folder: Path, port: int, **shape: object) -> AsyncIterator[Page]:
    """Open the page in a browser; see in the end that it asked nobody else and complained of nothing."""
    async with browsing(folder) as browser:
        page = await browser.open(f"http://127.0.0.1:{port}/ui", **shape)
        yield page
        own = {f"http://127.0.0.1:{port}{path}" for path in ("/ui", "/stats", "/metrics")} | {"data:,"}
        assert {url for url, _ in page.requested} <= own


async def test_page_shows_what_the_gateway_knows(tmp_path: Path, serve: Serve) -> None:
    """Issue: lanes with their states, pools with their traffic, and numbers that move by themselves."""
    fates: tuple[Fate, ...] = (Script(), failing(500))
    async with fleet(tmp_path, serve, *fates, top=ON, pool=TRIP) as made:
        for _ in range(4):
            assert (await made.ask()).status == 200
        async with page_of(tmp_path, made.site.port) as page:
            await page.wait_for(LANE)
            head, good, bad = await page.table("lanes")
            assert head[:5] == ["Lane", "Provider", "State", "Breaker", "In flight"]
            assert good[:5] == ["m0", "p0", "available", "closed", "0"]
            assert good[head.index("Ok")] == "4"
            assert bad[:4] == ["m1", "p1", "breaker open", "open"]
            assert (bad[head.index("Errors")], bad[head.index("Trips")]) == ("1", "1")
            assert re.fullmatch(r"pool \d+ s", bad[head.index("Rests")])
            assert (await page.table("pools"))[1][:2] == ["pool", NOTHING]  # one look has no rates
            for _ in range(3):
                assert (await made.ask()).status == 200
            await page.wait("document.querySelector('#pools tbody td:last-child').innerText === '7'")
            names, row = await page.table("pools")
            assert float(row[names.index("Requests/s")]) > 0
            assert row[names.index("p95")].endswith(" ms")
            assert "1" in await page.text("#events")
            assert (await page.text("#state")).startswith("live, ")
            assert await page.run("document.querySelector('#spend').hidden && document.querySelector('#login').hidden")
            assert (await page.shoot()).startswith(b"\x89PNG")
            assert page.complaints == []


async def test_page_asks_for_the_token_and_forgets_it(tmp_path: Path, serve: Serve) -> None:
    """Issue: no number without a token, which is kept in this tab alone and sent as a header alone."""
    top = f"observability: {{status_page: true, metrics_token: {SCRAPER}}}\n"
    async with fleet(tmp_path, serve, Script(), top=top) as made:
        text = made.site._file.read_text()
        assert await made.site.reload(text.replace("auth: {mode: none}", AUTH))
        assert (await made.ask(fields=b"x-api-key: %b\r\n" % TOKEN.encode())).status == 200
        async with page_of(tmp_path, made.site.port) as page:
            await page.wait_for("#login")
            assert (await page.text("#why")).startswith("A token is needed")
            assert "m0" not in str(await page.run("document.documentElement.outerHTML"))
            await page.fill_in("#token", "wrong")
            await page.wait("document.querySelector('#why').innerText.startsWith('This token is not let in')")
            await page.fill_in("#token", TOKEN)
            await page.wait_for(LANE)
            assert "/metrics wants a token of its own" in await page.text("#notice")
            assert (await page.table("pools"))[1][1:3] == [NOTHING, NOTHING]
            await page.click("#enter")
            await page.fill_in("#token", SCRAPER)
            await page.wait_without("#notice")
            await page.wait_without("#login")
            stored = "JSON.stringify([{...sessionStorage}, {...localStorage}, document.cookie, location.href])"
            kept = str(await page.run(stored))
            assert kept.count(TOKEN) == kept.count(SCRAPER) == 1
            assert f'{{}},"","http://127.0.0.1:{made.site.port}/ui"]' in kept
            assert await page.run("document.querySelector('#token').value") == ""
            sent = [fields.get("Authorization") for url, fields in page.requested if url.endswith("/metrics")]
            assert sent[-1] == f"Bearer {SCRAPER}"
            await page.click("#forget")
            await page.wait_for("#login")
            assert "m0" not in str(await page.run("document.documentElement.outerHTML"))
            assert str(await page.run(stored)).startswith("[{},{}")
            asked = len(page.requested)
            await page.pass_time(2.5)
            assert len(page.requested) == asked  # nobody asks on and on without a token


async def test_page_shows_spend(tmp_path: Path, serve: Serve) -> None:
    """Issue: what keys spend and have left, to whoever has a key."""
    async with governed(tmp_path, serve, Script(), rules="price_per_request_cents: 3", top=ON) as board:
        rich, poor = await board.mint(), await board.mint(max_budget_cents=3)
        for key in (rich, rich, poor):
            assert (await board.ask(key)).status == 200
        async with page_of(tmp_path, board.fleet.site.port) as page:
            await page.wait_for("#login")
            await page.fill_in("#token", rich["secret"])
            await page.wait_for("#spend")
            rows = [row[:3] for row in await page.table("keys")]
            assert rows == [["Key", "Spent, cents", "Left, cents"], [rich["id"], "6", NOTHING], [poor["id"], "3", "0"]]
            assert "9" in await page.text("#tiles div:last-child")


EVIL = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


async def test_names_are_shown_and_never_run(tmp_path: Path, serve: Serve) -> None:
    """Issue: whatever a name holds is text, in a table as in the series behind it."""
    async with fleet(tmp_path, serve, Script(), top=ON) as made:
        text = made.site._file.read_text()
        lane, pool = (f'  "{(kind + EVIL).replace(chr(34), chr(92) + chr(34))}": ' for kind in ("lane", "pool"))
        text = text.replace("models:\n", f"models:\n{lane}{{provider: p0}}\n")
        assert await made.site.reload(text.replace("pools:\n", f"pools:\n{pool}{{members: [{{target: m0}}]}}\n"))
        async with page_of(tmp_path, made.site.port) as page:
            await page.wait_for(LANE)
            await page.wait(f"document.querySelector('#pools td:nth-child(2)').innerText !== '{NOTHING}'")
            shown = [row[0] for row in (await page.table("lanes")) + await page.table("pools")]
            assert (shown.count("lane" + EVIL), shown.count("pool" + EVIL)) == (1, 1)
            assert await page.run("document.title") == "busbar-fast"
            assert await page.run("document.querySelectorAll('img, main script').length") == 0


async def test_policy_holds_in_a_browser(tmp_path: Path, serve: Serve) -> None:
    """Issue: even a script that got in would not be run, and could send nothing to anybody else."""
    async with (
        fleet(tmp_path, serve, Script(), top=ON) as made,
        fleet_elsewhere(tmp_path, serve) as other,
        page_of(tmp_path, made.site.port) as page,
    ):
        await page.wait_for(LANE)
        await page.run(
            "{const script = document.createElement('script'); script.textContent = 'window.owned = 1';"
            "document.body.append(script); document.body.setAttribute('onclick', 'window.owned = 1');"
            "document.body.click()}"
        )
        assert await page.run("window.owned === undefined")
        reached = f"fetch('http://127.0.0.1:{other}/stats', {{mode: 'no-cors'}}).then(() => 'sent', () => 'held')"
        assert await page.run(reached) == "held"
        assert sum("Content Security Policy" in text for text in page.complaints) >= 3


@asynccontextmanager
async def fleet_elsewhere(folder: Path, serve: Serve) -> AsyncIterator[int]:
    """Run another gateway; see that nobody asked it anything."""
    place = folder / "elsewhere"
    place.mkdir()
    async with fleet(place, serve, Script()) as made:
        yield made.site.port
        assert made.received == []


async def test_old_numbers_are_said_to_be_old(tmp_path: Path, serve: Serve) -> None:
    """Issue: while the gateway does not answer the page says so, and goes on when it does."""
    is_old = "document.querySelector('#main').classList.contains('old')"
    async with fleet(tmp_path, serve, Script(), top=ON) as made, page_of(tmp_path, made.site.port) as page:
        await page.wait_for(LANE)
        await page.run("{const real = fetch; window.back = () => { fetch = real; }}")
        await page.run("void (fetch = () => Promise.reject(new Error('gone')))")
        await page.wait("document.querySelector('#state').innerText === 'no answer (gone); these numbers are old'")
        assert await page.run(is_old)
        await page.run("back()")
        await page.wait("document.querySelector('#state').innerText.startsWith('live')")
        assert not await page.run(is_old)
        await page.click("#pause")
        assert await page.text("#state") == "paused"
        asked = len(page.requested)
        await page.pass_time(2.5)
        assert (len(page.requested), await page.text("#state")) == (asked, "paused")


async def test_page_fits_a_phone_by_day_and_night(tmp_path: Path, serve: Serve) -> None:
    """Issue: nothing sticks out of a narrow window, and whoever likes it dark gets it dark."""
    backs = []
    async with fleet(tmp_path, serve, Script(), Script(), top=ON) as made, browsing(tmp_path) as browser:
        for scheme in ("light", "dark"):
            url = f"http://127.0.0.1:{made.site.port}/ui"
            page = await browser.open(url, width=360, height=740, scheme=scheme)
            await page.wait_for(LANE)
            assert await page.run("document.documentElement.scrollWidth") == 360
            head = (await page.table("lanes"))[0]
            assert ("State" in head, "Provider" in head) == (True, False)
            back = str(await page.run("getComputedStyle(document.body).backgroundColor"))
            backs.append(sum(map(int, re.findall(r"\d+", back))))
    assert backs[0] > 600
    assert backs[1] < 150


def test_missing_browser_fails_and_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue: a test whose tool is missing fails loudly."""
    monkeypatch.setattr(browsers, "BROWSERS", ("no-such-browser",))
    with pytest.raises(pytest.fail.Exception, match=r"apt-get install .* chromium-headless-shell"):
        find_browser()
