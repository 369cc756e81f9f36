"""A look at a few sections of a deployment file, for commands that need no more of it.

Nothing else is checked, and no variable has to be set but those in the sections that are read.
"""

from typing import NamedTuple

from busbar_fast.config.complaints import Complaints, Mark, Path
from busbar_fast.config.inputs import Inputs
from busbar_fast.config.reading import Section
from busbar_fast.config.schema import Listen, Security
from busbar_fast.config.sections.doors import read_listen, read_server
from busbar_fast.config.sections.sinks import read_security
from busbar_fast.config.tree import Entries, read_tree
from busbar_fast.config.variables import Variables


class Door(NamedTuple):
    """Where a gateway listens, and what a connection begins with there."""

    listen: Listen
    is_tls: bool = False
    proxy_protocol: str = "off"


def glimpse_door(path: str, inputs: Inputs) -> Door:
    """Return how the gateway of a file is reached. Raise ValueError."""
    section = _open(path, inputs, "listen", "server")
    listen = read_listen(section, "listen")
    server = read_server(section)
    if section.complaints.errors:
        raise ValueError(str(section.complaints.errors[0]))
    listen = listen or Listen(host="0.0.0.0", port=8080)  # noqa: S104  the default
    return Door(listen, section.has("tls"), server.proxy_protocol)


def glimpse_security(path: str, inputs: Inputs) -> Security:
    """Return what a file blocks and allows. Raise ValueError."""
    section = _open(path, inputs, "security")
    security = read_security(section)
    if section.complaints.errors:
        raise ValueError(str(section.complaints.errors[0]))
    return security


def _open(path: str, inputs: Inputs, *names: str) -> Section:
    """Return the root of a file; only complaints about the sections of these names count."""
    complaints = Complaints()
    try:
        text = inputs.read(path).decode("utf-8-sig")
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: cannot be read: not valid UTF-8") from error
    variables = Variables(inputs.variable)

    def fill(scalar: str, at: Mark, where: Path) -> tuple[str | None, str]:
        return variables.fill(scalar, complaints if where[:1] and where[0] in names else Complaints(), at, where)

    root = read_tree(variables.make_inert(text), path, complaints, fill)
    if root is None:
        root = Entries(Mark(file=path))
    elif not isinstance(root, Entries):
        complaints.error(root.mark, (), f"must be a map, not {root.kind}")
    if complaints.errors or not isinstance(root, Entries):
        raise ValueError(str(complaints.errors[0]))
    return Section(root, (), complaints)
