"""Who may be measured beside us and the yardstick: plain proxies, and other gateways that write every answer anew.

Those gateways are installed on request by the scripts in peers/, into a folder of the caller's choice, which is named
in BUSBAR_PERF_PEERS. Their answers cannot be compared byte for byte; see `shapes.holds_reply` and `holds_stream`. They
have no rows of memory and cold start: each start of theirs takes many seconds.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from shutil import which
from typing import Final

from perf.sides import (
    PEER_FILES,
    Five,
    Governed,
    HaproxyCorked,
    Nginx,
    Pure,
    Side,
    Single,
    write_configuration,
)

FOLDER_VARIABLE: Final = "BUSBAR_PERF_PEERS"


class Installed(Side):
    """A gateway that its own script installs; subclasses say what it leaves in the folder."""

    is_faithful = False
    ready_s = 120.0
    mark = ""  # this file is there once the script has run

    def place(self) -> Path:
        """Return where the script has put it."""
        return Path(os.environ.get(FOLDER_VARIABLE, "")).absolute() / self.name

    def is_missing(self) -> bool:
        """Whether the folder is not named or holds no such gateway."""
        return FOLDER_VARIABLE not in os.environ or not (self.place() / self.mark).exists()

    def remedy(self) -> str:
        """Name the script and the variable."""
        return f"sh perf/peers/{self.name}/install.sh FOLDER, then set {FOLDER_VARIABLE}=FOLDER"


class Litellm(Installed):
    """The LiteLLM proxy with one worker, over the same three lanes, without a database."""

    name = "litellm"
    mark = "bin/litellm"

    def argv(self, listen: int, upstream: int, scratch: Path) -> Sequence[str]:
        """Write the configuration and start the installed command."""
        written = write_configuration(PEER_FILES / self.name / "config.yaml", listen, upstream, scratch)
        command = [
            str(self.place() / self.mark),
            "--config",
            str(written),
            "--host",
            "127.0.0.1",
            "--port",
            str(listen),
        ]
        return [*command, "--num_workers", "1", "--telemetry", "False"]

    def environment(self, listen: int, scratch: Path) -> Mapping[str, str]:  # noqa: ARG002  the same for all
        """Keep it from fetching price lists, and from finding this tree's modules before its own."""
        return {"PYTHONPATH": "", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION"}

    def version(self) -> str:
        """Read the name of its metadata: asking the program takes as long as starting it."""
        found = sorted(self.place().glob("lib/python*/site-packages/litellm-[0-9]*.dist-info"))
        return found[0].name.removesuffix(".dist-info") if found else ""


class Portkey(Installed):
    """The Portkey gateway on Node, which is told by each request where to send it."""

    name = "portkey"
    program = "node"
    mark = "node_modules/@portkey-ai/gateway/build/start-server.js"

    def argv(self, listen: int, upstream: int, scratch: Path) -> Sequence[str]:  # noqa: ARG002  told by each request
        """Start the installed server without its console."""
        return [self.program, str(self.place() / self.mark), f"--port={listen}", "--headless"]

    def environment(self, listen: int, scratch: Path) -> Mapping[str, str]:  # noqa: ARG002  the same for all
        """Run as in production."""
        return {"NODE_ENV": "production"}

    def fields(self, upstream: int) -> str:
        """Name the provider and where it is."""
        return f"x-portkey-provider: openai\r\nx-portkey-custom-host: http://127.0.0.1:{upstream}/v1\r\n"

    def is_missing(self) -> bool:
        """Whether it or Node is not there."""
        return which(self.program) is None or super().is_missing()

    def version(self) -> str:
        """Read its own description."""
        text = (self.place() / "node_modules/@portkey-ai/gateway/package.json").read_text(encoding="utf-8")
        return f"portkey {json.loads(text)['version']}"


PEERS: Final[Mapping[str, type[Side]]] = {
    peer.name: peer
    for peer in (
        Nginx,
        HaproxyCorked,
        Pure,
        Single,
        Five,
        Governed,
        Litellm,
        Portkey,
    )
}


def choose_peers(asked: str) -> tuple[list[Side], list[str]]:
    """Return the peers of a list of names, and the names nobody has; nginx takes part wherever it is installed."""
    names = [name for name in asked.split(",") if name]
    nginx = Nginx()
    if nginx.name not in names and not nginx.is_missing():
        names.insert(0, nginx.name)
    return [PEERS[name]() for name in names if name in PEERS], [name for name in names if name not in PEERS]
