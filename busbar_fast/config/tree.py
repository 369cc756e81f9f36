"""YAML text as a tree of nodes that remember their lines; scalars keep their source text.

The schema decides what a scalar is, so `503` may be a name and `yes` is never a flag. Anchors, aliases and `<<` work;
duplicate keys, tags, several documents and documents of absurd size are errors. Variables were replaced by inert
tokens before (`variables`) and are filled in here, inside scalars, so that a value cannot change the tree.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, NoReturn

import yaml

from busbar_fast.config.complaints import Complaints, Mark, Path

MAX_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 100
MAX_NODES = 200_000

_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_MERGE = "<<"
_STRING_TAGS = frozenset((None, "!", "tag:yaml.org,2002:str"))
_CORE_TAGS = "tag:yaml.org,2002:"


class Scalar:
    """A leaf: its text, whether it was written plain, and how it reads in the file, its variables not filled in."""

    __slots__ = ("is_broken", "is_null", "is_plain", "mark", "template", "text")

    kind = "a text"

    def __init__(self, mark: Mark, text: str | None, template: str, *, is_plain: bool) -> None:
        self.mark = mark
        self.is_broken = text is None  # a variable in it has no usable value, which was noted
        self.text = text or ""
        self.template = template
        self.is_plain = is_plain
        self.is_null = is_plain and text == template and text in _NULLS


class Items:
    """A list."""

    __slots__ = ("items", "mark")

    kind = "a list"
    is_null = False

    def __init__(self, mark: Mark) -> None:
        self.mark = mark
        self.items: list[Node] = []


class Entries:
    """A map, in order; each key with its own mark."""

    __slots__ = ("entries", "keys", "mark")

    kind = "a map"
    is_null = False

    def __init__(self, mark: Mark) -> None:
        self.mark = mark
        self.entries: dict[str, Node] = {}
        self.keys: dict[str, Mark] = {}


Node = Scalar | Items | Entries
# Gives the text of a scalar with its variables filled in, None if one cannot be, and how its source reads.
Fill = Callable[[str, Mark, Path], tuple[str | None, str]]


class Broken(Exception):
    """The text has no tree; what is wrong was noted already."""


def read_tree(text: str, file: str, complaints: Complaints, fill: Fill) -> Node | None:
    """Return the root of the one document in a text; None if it is empty or broken, with the complaint noted."""
    try:
        with contextlib.suppress(Broken):  # noted where it was found
            return _Builder(file, complaints, fill).build(text)
    except yaml.MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        line = 0 if at is None else at.line + 1
        words = " ".join(filter(None, (error.context, error.problem)))
        complaints.error(Mark(file=file, line=line), (), f"not valid YAML: {words}")
    except yaml.YAMLError as error:
        complaints.error(Mark(file=file), (), f"not valid YAML: {str(error).partition(chr(10))[0]}")
    return None


class _Anchored(NamedTuple):
    """What an alias stands for, with the number of its nodes and of the levels below it."""

    node: Node
    size: int
    height: int


class _Builder:
    """Builds the tree from the parser's events, so that every cap is checked before memory or stack is spent."""

    def __init__(self, file: str, complaints: Complaints, fill: Fill) -> None:
        self._file = file
        self._complaints = complaints
        self._fill = fill
        self._anchors: dict[str, _Anchored | None] = {}
        self._nodes = 0
        self._deepest = 0  # level reached so far
        self._last_mark = Mark(file=file)

    def build(self, text: str) -> Node | None:
        """Return the root."""
        events = yaml.parse(text, Loader=yaml.CSafeLoader)
        root: Node | None = None
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    self._refuse(self._mark(event), "more than one document in the file")
                root = self._read_node(next(events), events, ())
        return None if root is None or root.is_null else root

    def _read_node(self, event: Any, events: Iterator[Any], path: Path) -> Node:
        if isinstance(event, yaml.AliasEvent):
            return self._aliased(event, len(path))
        self._count(event, 1, len(path))
        if event.anchor is None:
            return self._read_value(event, events, path)
        self._anchors[event.anchor] = None
        nodes_before, deepest_before = self._nodes - 1, self._deepest
        self._deepest = len(path)
        node = self._read_value(event, events, path)
        self._anchors[event.anchor] = _Anchored(node, self._nodes - nodes_before, self._deepest - len(path))
        self._deepest = max(self._deepest, deepest_before)
        return node

    def _read_value(self, event: Any, events: Iterator[Any], path: Path) -> Node:
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path)
        mark = self._mark(event)
        if isinstance(event, yaml.SequenceStartEvent):
            self._check_tag(event, "seq")
            return self._read_items(mark, events, path)
        self._check_tag(event, "map")
        return self._read_entries(mark, events, path)

    def _aliased(self, event: Any, level: int) -> Node:
        found = self._anchors.get(event.anchor)  # its name is not shown: a key may have been pasted here
        if found is None:
            self._refuse(self._mark(event), "this alias stands for nothing that ends before it")
        self._count(event, found.size, level + found.height)
        return found.node

    def _count(self, event: Any, more: int, level: int) -> None:
        """Count nodes and note the level they reach; both have a cap, aliases included."""
        self._nodes += more
        if self._nodes > MAX_NODES:
            self._refuse(self._mark(event), f"more than {MAX_NODES} values, aliases included")
        if level > self._deepest:
            self._deepest = level
            if level > MAX_DEPTH:
                self._refuse(self._mark(event), f"nested more than {MAX_DEPTH} levels deep")

    def _scalar(self, event: Any, path: Path) -> Scalar:
        mark, tag = self._mark(event), event.tag
        if tag is not None:
            self._check_tag(event, "null bool int float str")
        is_plain = not event.style and (tag is None or tag not in _STRING_TAGS)
        text, template = self._fill(event.value, mark, path)
        return Scalar(mark, text, template, is_plain=is_plain)

    def _read_items(self, mark: Mark, events: Iterator[Any], path: Path) -> Items:
        node = Items(mark)
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            node.items.append(self._read_node(event, events, (*path, len(node.items))))
        return node

    def _read_entries(self, mark: Mark, events: Iterator[Any], path: Path) -> Entries:
        node = Entries(mark)
        merged: list[Entries] = []
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key = self._read_key(event, events, path)
            value = self._read_node(next(events), events, (*path, key.text or key.template))
            if key.is_broken:
                continue
            if key.is_plain and key.template == _MERGE:
                merged += self._merged(value)
            elif key.text in node.keys:
                lines = f"lines {node.keys[key.text].line} and {key.mark.line}"
                self._complaints.error(key.mark, (*path, key.text), f"the key stands here twice, on {lines}")
            else:
                node.keys[key.text] = key.mark
                node.entries[key.text] = value
        for source in merged:  # what is written out wins, then what was merged first
            for name, value in source.entries.items():
                if name not in node.keys:
                    node.keys[name] = source.keys[name]
                    node.entries[name] = value
        return node

    def _read_key(self, event: Any, events: Iterator[Any], path: Path) -> Scalar:
        # Anything else may be a key of a key without end, so it is not looked into.
        is_one = isinstance(event, yaml.ScalarEvent | yaml.AliasEvent)
        key = self._read_node(event, events, path) if is_one else None
        if not isinstance(key, Scalar):
            self._refuse(self._mark(event), "a key must be a text")
        return key

    def _merged(self, value: Node) -> list[Entries]:
        sources = value.items if isinstance(value, Items) else [value]
        found = [source for source in sources if isinstance(source, Entries)]
        if len(found) != len(sources):
            self._refuse(value.mark, "`<<` takes a map or a list of maps")
        return found

    def _check_tag(self, event: Any, allowed: str) -> None:
        tag = event.tag
        if tag not in _STRING_TAGS and tag not in [_CORE_TAGS + name for name in allowed.split()]:
            self._refuse(self._mark(event), "this tag is not supported")

    def _mark(self, event: Any) -> Mark:
        line = event.start_mark.line + 1
        if self._last_mark.line != line:
            self._last_mark = Mark(file=self._file, line=line)
        return self._last_mark

    def _refuse(self, mark: Mark, reason: str) -> NoReturn:
        self._complaints.error(mark, (), reason)
        raise Broken
