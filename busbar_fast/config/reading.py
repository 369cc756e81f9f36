"""Reads the fields of one map of a configuration file, each with its type, and complains about everything else.

A `Section` wraps a map. Each call reads one field and returns its value, or the default when the field is missing,
null or wrong; wrong is noted. Leaving the `with` block complains about every key that nobody asked for. A scalar has no
type of its own: the call decides, so `503` is a name where a name is wanted.
"""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Self

from busbar_fast.config.complaints import SECRET, Complaints, Mark, Path
from busbar_fast.config.tree import Entries, Items, Node, Scalar

U32 = 2**32 - 1
U63 = 2**63 - 1
I64 = -(2**63)
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+|0o[0-7]+|0b[01]+")
_FLOAT = re.compile(r"(?![-+]?0[0-9]+$)[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_FLAGS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}

# Says why a text is refused; nothing if it is fine.
Check = Callable[[str], str]
# Says why a key that nobody knows is refused, if there is more to say than that.
Retired = Callable[[Path], str]


def no_objection(_text: str) -> str:
    """Accept every text."""
    return ""


class Keys:
    """The keys of one map: which are there, which are known, and what is wrong with them."""

    __slots__ = ("complaints", "is_lenient", "known", "mark", "node", "path", "retired")

    def __init__(
        self,
        node: Entries,
        path: Path,
        complaints: Complaints,
        *,
        retired: Retired | None = None,
        is_lenient: bool = False,
    ) -> None:
        self.node = node
        self.mark = node.mark
        self.path = path
        self.complaints = complaints
        self.retired = retired
        self.is_lenient = is_lenient  # unknown keys are warned about
        self.known: dict[str, None] = {}  # in the order they were asked for

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._refuse_rest()

    def _refuse_rest(self) -> None:
        for name in self.node.entries:
            if name in self.known:
                continue
            path = (*self.path, name)
            mark = self.node.keys[name]
            if self.is_lenient:
                self.complaints.warn("W23", mark, path, "unknown key" + self.complaints.hint(name, self.known))
            else:
                reason = self.retired(path) if self.retired else ""
                self.complaints.error(mark, path, reason or "unknown key" + self.complaints.hint(name, self.known))

    def has(self, name: str) -> bool:
        """Say whether a field is there and not null."""
        node = self.node.entries.get(name)
        return node is not None and not node.is_null

    def maybe_node(self, name: str) -> Node | None:
        """Return what stands under a name, None if nothing does or null."""
        self.known[name] = None
        return self.node.entries[name] if self.has(name) else None

    def mark_of(self, name: str) -> Mark:
        """Return where a field stands; the map itself if it is missing."""
        return self.node.keys.get(name, self.mark)

    def error(self, name: str, reason: str, got: str | None = None) -> None:
        """Complain about a field."""
        self.complaints.error(self.mark_of(name), (*self.path, name), reason, got)

    def warn(self, number: str, name: str, reason: str) -> None:
        """Warn about a field."""
        self.complaints.warn(number, self.mark_of(name), (*self.path, name), reason)

    def need(self, *names: str) -> None:
        """Complain about each of these fields that is missing."""
        for name in names:
            if not self.has(name):
                self.error(name, "required, and missing")

    def put_off(self, *names: str) -> None:
        """Note each of these fields that is there: its feature is not."""
        for name in names:
            if self.has(name):
                self.complaints.put_off(self.mark_of(name), (*self.path, name))

    def alias(self, name: str, other: str) -> str:
        """Return which of two spellings of one field is used; both is an error."""
        self.known |= {name: None, other: None}
        if self.has(name) and self.has(other):
            self.error(other, f"the same as `{name}`; give one of them")
        return other if self.has(other) and not self.has(name) else name


class Section(Keys):
    """One map of a file, read field by field; see the module."""

    __slots__ = ()

    # Scalars

    def maybe_text(self, name: str, check: Check = no_objection, *, is_secret: bool = False) -> str | None:
        """Return a text, None if it is missing or wrong."""
        scalar = self._scalar(name, "a text")
        if scalar is None:
            return None
        reason = check(scalar.text)
        if reason:
            self.error(name, reason, SECRET if is_secret else scalar.text)
            return None
        return scalar.text

    def text(self, name: str, default: str, check: Check = no_objection) -> str:
        """Return a text."""
        found = self.maybe_text(name, check)
        return default if found is None else found

    def need_text(self, name: str, check: Check = no_objection) -> str:
        """Return a text that must be there; empty if it is missing or wrong."""
        self.need(name)
        return self.text(name, "", check)

    def choice(self, name: str, default: str, allowed: Sequence[str]) -> str:
        """Return one of some words."""

        def check(text: str) -> str:
            return (
                "" if text in allowed else f"must be one of {', '.join(allowed)}{self.complaints.hint(text, allowed)}"
            )

        return self.text(name, default, check)

    def flag(self, name: str, *, default: bool) -> bool:
        """Return true or false."""
        scalar = self._scalar(name, "true or false")
        if scalar is None:
            return default
        value = _FLAGS.get(scalar.text) if scalar.is_plain else None
        if value is None:
            self.error(name, "must be true or false", scalar.text)
            return default
        return value

    def maybe_flag(self, name: str) -> bool | None:
        """Return true or false, None if it is missing."""
        flag = self.flag(name, default=False)
        return flag if self.has(name) else None

    def maybe_integer(self, name: str, low: int = 0, high: int = U63) -> int | None:
        """Return a whole number, None if it is missing or wrong."""
        scalar = self._scalar(name, "a whole number")
        if scalar is None:
            return None
        text = scalar.text
        if not scalar.is_plain or _INTEGER.fullmatch(text) is None:
            self.error(name, "must be a whole number", text)
        elif len(text) > 80 or not low <= (value := int(text, 0)) <= high:
            self.error(name, f"must be {_bounds(low, high)}", text)
        else:
            return value
        return None

    def integer(self, name: str, default: int, low: int = 0, high: int = U63) -> int:
        """Return a whole number."""
        found = self.maybe_integer(name, low, high)
        return default if found is None else found

    def maybe_number(self, name: str) -> float | None:
        """Return a finite number, None if it is missing or wrong."""
        scalar = self._scalar(name, "a number")
        if scalar is None:
            return None
        if scalar.is_plain and _NOT_FINITE.fullmatch(scalar.text):
            self.error(name, "must be finite", scalar.text)
        elif not scalar.is_plain or _FLOAT.fullmatch(scalar.text) is None:
            self.error(name, "must be a number", scalar.text)
        elif not math.isfinite(value := float(scalar.text)):
            self.error(name, "must be finite", scalar.text)
        else:
            return value
        return None

    def written(self, name: str) -> str:
        """Return how a scalar is written, nothing if there is none."""
        node = self.node.entries.get(name)
        return node.text if isinstance(node, Scalar) else ""

    def _scalar(self, name: str, wanted: str) -> Scalar | None:
        node = self.maybe_node(name)
        if node is None:
            return None
        if not isinstance(node, Scalar):
            self.error(name, f"must be {wanted}, not {node.kind}")
            return None
        return None if node.is_broken else node

    # What holds more

    def section(self, name: str) -> "Section":
        """Return the map under a name; an empty one if it is missing or no map."""
        return self.maybe_section(name) or self.within(name, None)

    def maybe_section(self, name: str) -> "Section | None":
        """Return the map under a name, None if it is missing; an empty one for what is no map, which is noted."""
        node = self.maybe_node(name)
        if node is None or isinstance(node, Entries):
            return None if node is None else self.within(name, node)
        self.error(name, f"must be a map, not {node.kind}")
        return Section(Entries(node.mark), (*self.path, name), Complaints())  # that a key is missing there is no news

    def within(self, name: str | int, node: Entries | None) -> "Section":
        """Return a map that belongs below this one."""
        entries = Entries(self.mark) if node is None else node
        return Section(entries, (*self.path, name), self.complaints, retired=self.retired, is_lenient=self.is_lenient)

    def named(self, name: str) -> "Iterator[tuple[str, Section]]":
        """Yield each entry of a map of maps, with its name; its unknown keys are noted behind it."""
        entries = self.section(name)
        for key in entries.node.entries:
            node = entries.maybe_node(key)
            if node is None or isinstance(node, Entries):
                with entries.within(key, node) as section:
                    yield key, section
            else:
                entries.error(key, f"must be a map, not {node.kind}")

    def items(self, name: str) -> list[Node]:
        """Return the items of a list; none if it is missing or no list."""
        node = self.maybe_node(name)
        if node is None:
            return []
        if not isinstance(node, Items):
            self.error(name, f"must be a list, not {node.kind}")
            return []
        return node.items

    def texts(self, name: str, check: Check = no_objection) -> tuple[str, ...]:
        """Return a list of texts."""
        found = []
        for number, item in enumerate(self.items(name)):
            text = self._item_text(name, number, item)
            if text is None:
                continue
            reason = check(text)
            if reason:
                self.complaints.error(item.mark, (*self.path, name, number), reason, text)
            else:
                found.append(text)
        return tuple(found)

    def _item_text(self, name: str, number: int, item: Node) -> str | None:
        """Return the text of one item of a list, None if it is something else."""
        if isinstance(item, Scalar) and not item.is_null:
            return None if item.is_broken else item.text
        kind = "nothing" if item.is_null else item.kind
        self.complaints.error(item.mark, (*self.path, name, number), f"must be a text, not {kind}")
        return None


def _bounds(low: int, high: int) -> str:
    if high >= U63:
        return f"at least {low}" if low > I64 else "a number of 64 bits"
    return f"from {low} to {high}"
