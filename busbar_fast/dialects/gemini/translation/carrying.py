"""Members without a field of their own: where they stood, so that they can be put back there.

What is left of an inner object is kept under the name of that object, a dot, and its own name; what is left of the
outermost one under its own name alone. Only the names in `PARENTS` mean an inner object, whatever users invent.
"""

from collections.abc import Iterator
from typing import Final

from msgspec import Raw

from busbar_fast.ir.blocks import Ext

PARENTS: Final = frozenset(
    (
        "generationConfig",
        "thinkingConfig",
        "toolConfig",
        "functionCallingConfig",
        "content",
        "candidate",
        "usageMetadata",
        "inlineData",
        "fileData",
        "functionCall",
        "functionResponse",
        "executableCode",
        "codeExecutionResult",
    )
)


def packed(rest: Ext | None, parent: str) -> Ext:
    """Return what is left of an inner object, as it is kept."""
    return {f"{parent}.{name}": raw for name, raw in (rest or {}).items()}


def unpacked(ext: Ext | None, parent: str = "") -> Ext:
    """Return what is kept of an inner object, or of the outermost, under the names it had."""
    return {name: raw for at, name, raw in _taken_apart(ext) if at == parent}


def joined(*kept: Ext | None) -> Ext | None:
    """Return all of these, None if there is nothing."""
    found: Ext = {}
    for ext in kept:
        found |= ext or {}
    return found or None


def _taken_apart(ext: Ext | None) -> Iterator[tuple[str, str, Raw]]:
    for path, raw in (ext or {}).items():
        parent, _, name = path.partition(".")
        yield (parent, name, raw) if name and parent in PARENTS else ("", path, raw)
