"""`busbar-fast keys` against a gateway, and against nobody."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from busbar_fast.keys_command import run, table
from busbar_fast.mock.script import Script
from busbar_fast.subcommand import Asked, Failed, Misused
from tests.system.gateways import closed_port
from tests.system.governing import ADMIN, Board, governed
from tests.system.programs import Deployment
from tests.system.serving import Serve

GOOD = Script(usage_in=31, usage_out=18)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return where the files of one gateway are."""
    return tmp_path


class Desk:
    """An operator at a terminal."""

    def __init__(self, board: Board, token: str = ADMIN) -> None:
        self._environ = {"BUSBAR_ADMIN_TOKEN": token, "BUSBAR_URL": f"http://127.0.0.1:{board.fleet.site.port}"}

    async def say(self, line: str) -> str:
        """Return what a line prints."""
        return await asyncio.to_thread(run, line.split(), self._environ)

    async def ask(self, line: str) -> Any:
        """Return what a line prints as JSON."""
        return json.loads(await self.say(f"{line} --json"))


async def test_a_key_from_its_first_to_its_last_day(folder: Path, serve: Serve) -> None:
    """Issue: keys are made, shown, changed, counted and deleted from a terminal."""
    async with governed(folder, serve, GOOD) as board:
        desk = Desk(board)
        made = await desk.ask("create team --pools pool,m0 --budget-cents 500 --period daily --rpm 60 --tpm 9000 --aws")
        assert (made["name"], made["allowed_pools"], made["max_budget_cents"]) == ("team", ["pool", "m0"], 500)
        assert (made["budget_period"], made["rpm_limit"], made["tpm_limit"]) == ("daily", 60, 9000)
        assert {"secret", "aws_access_key_id", "aws_secret_access_key"} <= made.keys()
        assert (await board.ask(made)).status == 200
        key_id = made["id"]
        assert (await desk.ask(f"usage {key_id}"))["spend_cents"] == 1
        changed = await desk.ask(f"update {key_id} --rpm none --budget-cents 9 --pools all --name other --disable")
        assert (changed["rpm_limit"], changed["tpm_limit"], changed["max_budget_cents"]) == (None, 9000, 9)
        assert (changed["allowed_pools"], changed["name"], changed["enabled"]) == ([], "other", False)
        assert (await desk.ask(f"update {key_id} --enable"))["enabled"] is True
        assert (await desk.ask("list"))["keys"] == [await board_key(board, key_id)]
        assert await desk.ask(f"delete {key_id}") == {"deleted": key_id}
        assert await desk.ask("list") == {"keys": []}


async def board_key(board: Board, key_id: str) -> Any:
    """Return what the list says of a key."""
    (found,) = [key for key in (await board.say("GET", "/keys")).document["keys"] if key["id"] == key_id]
    return found


async def test_tables_are_for_people(folder: Path, serve: Serve) -> None:
    """Issue: readable without JSON."""
    async with governed(folder, serve, GOOD) as board:
        desk = Desk(board)
        made = await desk.say("create team --budget-cents 500")
        key_id = next(line.split()[1] for line in made.splitlines() if line.startswith("id "))
        assert "secret                  sk-bb-" in made
        head, row = (await desk.say("list")).splitlines()
        assert head.split() == ["ID", "NAME", "POOLS", "BUDGET", "PERIOD", "RPM", "TPM", "ENABLED", "CREATED"]
        assert row.split()[:8] == [key_id, "team", "all", "500", "total", "-", "-", "yes"]
        assert row.endswith("Z")
        assert "window_end              -" in await desk.say(f"usage {key_id}")
        assert "name                    team" in await desk.say(f"show {key_id}")


def test_columns_are_as_wide_as_they_must_be() -> None:
    """A long name moves what stands behind it, in every row."""
    shown = table([{"id": "vk_1", "name": "n" * 30, "allowed_pools": ["a", "b"], "enabled": False}, {"id": "vk_22"}])
    first, second, third = shown.splitlines()
    assert first.index("POOLS") == second.index("a,b")
    assert (second.split()[-2], third.split()) == ("no", ["vk_22", *"--------"])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("show vk_0", "404: no such key"),
        ("create x --rpm 0", "400: rpm_limit"),
        ("delete ../keys", "404: no such key"),
    ],
)
async def test_what_is_refused_is_said(folder: Path, serve: Serve, line: str, words: str) -> None:
    """Issue: the gateway's reason, and the exit code that goes with it."""
    async with governed(folder, serve, GOOD) as board:
        with pytest.raises(Failed, match=words):
            await Desk(board).say(line)


async def test_a_wrong_token_is_said(folder: Path, serve: Serve) -> None:
    """Governance §10: nothing more than that it is wrong."""
    async with governed(folder, serve, GOOD) as board:
        with pytest.raises(Failed, match="401: Incorrect API key"):
            await Desk(board, "wrong").say("list")


@pytest.mark.parametrize(
    ("line", "environ", "error", "words"),
    [
        ("list", {}, Failed, "BUSBAR_ADMIN_TOKEN is not set"),
        ("list", {"BUSBAR_ADMIN_TOKEN": "t", "BUSBAR_URL": "<nobody>"}, Failed, "refused"),
        ("list", {"BUSBAR_ADMIN_TOKEN": "hu\nsh"}, Failed, "cannot stand in a header$"),
        ("list --url ftp://x", {"BUSBAR_ADMIN_TOKEN": "t"}, Misused, "no URL"),
        ("list --url http://[x", {"BUSBAR_ADMIN_TOKEN": "t"}, Misused, "no URL"),
        ("list --url http://x:y", {"BUSBAR_ADMIN_TOKEN": "t"}, Misused, "no URL"),
        ("", {}, Misused, "VERB"),
        ("mint", {}, Misused, "invalid choice"),
        ("create", {}, Misused, "name"),
        ("create x --rpm many", {}, Misused, "--rpm"),
        ("create x --pools ,", {}, Misused, "no names"),
        ("update vk_1", {"BUSBAR_ADMIN_TOKEN": "t"}, Misused, "nothing to change"),
        ("update vk_1 --enable --disable", {}, Misused, "not allowed with"),
        ("--help", {}, Asked, "list all keys"),
        ("create --help", {}, Asked, "--budget-cents"),
    ],
)
def test_words_that_cannot_be_done(line: str, environ: dict[str, str], error: type[Exception], words: str) -> None:
    """Config §3: what is wrong is named."""
    filled = {name: value.replace("<nobody>", f"http://127.0.0.1:{closed_port()}") for name, value in environ.items()}
    with pytest.raises(error, match=words):
        run(line.split(), filled)


@pytest.mark.parametrize(("line", "code"), [("keys --help", 0), ("keys list", 1), ("keys nothing", 2)])
def test_exit_codes(tmp_path: Path, line: str, code: int) -> None:
    """Config §3: 0 done, 1 not done, 2 a mistake on the command line."""
    done = Deployment(tmp_path).run(*line.split())
    assert done.returncode == code
    assert bool(done.stdout) is (code == 0)
    assert bool(done.stderr) is (code != 0)
