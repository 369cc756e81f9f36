"""How ids and seals of other vendors look to one client."""

from busbar_fast.dialects.translator import Abilities
from busbar_fast.ir import seals, tool_ids
from busbar_fast.ir.blocks import Seal


class Spelling:
    """What a client's dialect makes of them. `salt` tells the ids apart that are invented for different answers."""

    __slots__ = ("_family", "_in_hex", "_prefix", "_salt")

    def __init__(self, abilities: Abilities, salt: str = "", *, in_hex: bool = False) -> None:
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
