"""The address guard where it counts: between the look-up of a name and the connection."""

import asyncio
import logging
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.system.engines import running
from tests.system.programs import Recorder
from tests.system.serving import Serve

CONFIG = """
listen: 127.0.0.1:0
auth: {mode: none}
<security>
providers:
  named: {protocol: openai, base_url: "http://upstream.test:<port>", api_key: none, allow_plaintext: true<allow>}
  plain: {protocol: openai, base_url: "http://127.0.0.2:<port>", api_key: none}
models:
  m: {provider: named}
  n: {provider: plain}
pools:
  pool: {members: [{target: m}, {target: n}]}
"""


def config(port: int, *, security: str = "", allow: str = "") -> str:
    """Return the deployment, with exceptions if there are any."""
    text = CONFIG.replace("<security>", security).replace("<port>", str(port))
    return text.replace("<allow>", allow and f", allow_metadata_hosts: [{allow}]")


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """Make the loop find these addresses for every name; return which names it was asked for."""
    asked: list[str] = []

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        found = addresses if host == "upstream.test" else (host,)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    return asked


@pytest.mark.parametrize("address", ["169.254.169.254", "100.100.100.200", "::ffff:169.254.169.254", "fd00:ec2::254"])
async def test_name_that_leads_to_metadata_is_a_failed_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, address: str
) -> None:
    """Operations §13 case 43: refused at connect, logged with host and address, and the next member serves."""
    async with running(tmp_path, config(9)) as site:
        asked = resolve_to(monkeypatch, address)
        assert (await site.ask("m")).status == 503
        assert asked == ["upstream.test"]
        assert site.counts("m") == (0, 1, 0)
        (warning,) = (record.getMessage() for record in caplog.records if record.levelno == logging.WARNING)
        assert "upstream.test" in warning
        assert address in warning


async def test_other_member_serves_instead(tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Operations §13 case 43: a lane whose host is refused fails over like one that nobody answers at."""
    recorder = Recorder()
    async with serve(recorder.serve) as upstream:
        text = config(upstream.port).replace("127.0.0.2", "127.0.0.1")
        async with running(tmp_path, text) as site:
            resolve_to(monkeypatch, "169.254.169.254")
            assert (await site.ask("pool")).status == 200
            assert (site.counts("m"), site.counts("n")) == ((0, 1, 0), (1, 0, 0))
        assert len(recorder.seen) == 1


async def test_only_blocked_addresses_are_left_out(
    tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Config §10: a name with a good address beside a blocked one is reached at the good one."""
    recorder = Recorder()
    async with serve(recorder.serve) as upstream, running(tmp_path, config(upstream.port)) as site:
        resolve_to(monkeypatch, "169.254.169.254", "127.0.0.1")
        assert (await site.ask("m")).status == 200


@pytest.mark.parametrize("allow", ["upstream.test", "127.0.0.1"])
async def test_allow_list_lets_it_through(
    tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch, allow: str
) -> None:
    """Operations §13 case 43: the operator blocks an address, and a provider may have it back by a reload."""
    block = "security: {blocked_metadata_hosts: [127.0.0.1]}"
    recorder = Recorder()
    async with serve(recorder.serve) as upstream, running(tmp_path, config(upstream.port, security=block)) as site:
        resolve_to(monkeypatch, "127.0.0.1")
        assert (await site.ask("m")).status == 503
        assert await site.reload(config(upstream.port, security=block, allow=allow))
        assert (await site.ask("m")).status == 200
        assert site.counts("m") == (1, 1, 0)
        assert await site.reload(config(upstream.port, security=block))
        assert (await site.ask("m")).status == 503
