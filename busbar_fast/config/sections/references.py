"""Secrets as they are written: a text with references in it, or a map that names a variable or a file."""

from collections.abc import Callable

from busbar_fast.config.complaints import SECRET, Path
from busbar_fast.config.inputs import absolute
from busbar_fast.config.reading import Section
from busbar_fast.config.schema import NONE, Secret
from busbar_fast.config.tree import Entries, Node, Scalar

Check = Callable[[str], str]


def read_secret(section: Section, name: str | int, node: Node | None, check: Check) -> Secret:
    """Return a secret's source; `check` judges a value that is written down here and is never quoted."""
    path = (*section.path, name)
    if isinstance(node, Entries):
        return read_reference(section, path, node, ("env", "file"))
    if node is None:
        return NONE
    if not isinstance(node, Scalar) or node.is_null:
        kind = "nothing" if node.is_null else node.kind
        section.complaints.error(node.mark, path, f"must be a text or a map, not {kind}")
        return NONE
    if node.is_broken:
        return NONE
    reason = check(node.text)
    if reason:
        section.complaints.error(node.mark, path, reason, SECRET)
    return Secret(kind="text", source=node.template)


def read_reference(section: Section, path: Path, node: Entries, kinds: tuple[str, ...]) -> Secret:
    """Return a secret's source written as a map with one of these keys."""
    with Section(node, path, section.complaints, retired=section.retired) as reference:
        found = [(kind, reference.maybe_text(kind, not_blank)) for kind in kinds]
        reference.maybe_node("module")
        if "module" in node.entries:
            reference.error("module", f"secrets from modules do not exist here; use {' or '.join(kinds)}")
            return NONE
        if len(node.entries) != 1:
            section.complaints.error(node.mark, path, f"must have exactly one of {', '.join(kinds)}")
            return NONE
        reference.need(*(kind for kind in kinds if kind in node.entries))
    return next((source_of(kind, source) for kind, source in found if source is not None), NONE)


def source_of(kind: str, source: str) -> Secret:
    """Return a secret's source; a file's means the same from every working folder."""
    return Secret(kind=kind, source=absolute(source) if kind == "file" else source)


def not_blank(text: str) -> str:
    """Refuse a text of nothing but blanks."""
    return "" if text.strip() else "must not be empty"


def complaint_of_token(token: str) -> str:
    """Return why nobody could ever send this token, or nothing."""
    if not token.strip():
        return "must not be empty"
    if token != token.strip():
        return "must not begin or end with blanks: no client could send it"
    return "" if is_sendable(token) else "holds a byte that cannot stand in a header"


def is_sendable(text: str) -> bool:
    """Say whether a text can stand in a header field."""
    return all(" " <= character <= "~" for character in text)
