"""How ids, names and seals look to one client that went to another vendor."""

from collections.abc import Iterable, Mapping, Sequence

from busbar_fast.dialects.translator import Abilities
from busbar_fast.ir import seals, tool_ids, tool_names
from busbar_fast.ir.blocks import Seal


class Spelling:
    """What a client's dialect makes of them. `salt` tells the ids apart that are invented for different answers.

    `names` are those that the client gave to its tools, by what the lane was told in their place.
    """

    __slots__ = ("_family", "_in_hex", "_names", "_prefix", "_salt")

    def __init__(
        self, abilities: Abilities, salt: str = "", names: Mapping[str, str] = {}, *, in_hex: bool = False
    ) -> None:
        self._names = names
        self._prefix = abilities.tool_prefix
        self._family = abilities.seal
        self._salt = salt
        self._in_hex = in_hex

    def shown_tool_id(self, tool_id: str, index: int) -> str:
        """Return an id as the client sees it; `index` is that of the block, for calls that have none."""
        if not tool_id:
            return tool_ids.invented(f"{self._salt}{index}", "", self._prefix or "call_")
        return tool_ids.shown(tool_id, self._prefix, in_hex=self._in_hex)

    def shown_seal(self, seal: Seal) -> str:
        """Return a seal as the client sees it."""
        return seals.shown(seal, self._family)

    def shown_pieces(self, pieces: Sequence[str]) -> str:
        """Return a thought's seal that came in pieces, each behind its family; if none did, what says so."""
        return self.shown_seal(Seal(pieces[0], "".join(pieces[1::2])) if pieces else seals.UNSEALED)

    def shown_tool_name(self, name: str) -> str:
        """Return a tool's name as the client gave it."""
        return self._names.get(name, name)


def renamed(names: Iterable[str], lane: Abilities) -> dict[str, str]:
    """Return the names that a lane does not take, by what it is told in their place."""
    return {tool_names.fitting(name): name for name in names if not lane.takes_tool_name(name)}
