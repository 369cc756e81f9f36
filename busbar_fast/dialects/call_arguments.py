"""Arguments of calls where a vendor writes them as a text that holds JSON, or should."""

from msgspec import Raw

from busbar_fast.dialects.members import is_object, read_object, text_of
from busbar_fast.errors import Misshapen, NotJson, TooDeep
from busbar_fast.ir.blocks import NO_ARGS, NOTHING, ToolUse


def args_of(raw: Raw) -> tuple[Raw, str | None]:
    """Return arguments as an object, or as the text that is none; some hosts write the object itself."""
    if not raw:
        return NO_ARGS, None
    if is_object(raw):
        return raw, None
    text = text_of(raw)
    if text is None:
        return NOTHING, bytes(raw).decode()
    return args_in(text)


def args_in(text: str) -> tuple[Raw, str | None]:
    """Return the object that a text holds, or the text if it holds none; nothing is an empty object."""
    if not text.strip():
        return NO_ARGS, None
    encoded = text.encode()
    try:
        read_object(encoded)
    except (NotJson, TooDeep, Misshapen):
        return NOTHING, text
    return Raw(encoded.strip()), None


def args_text(block: ToolUse) -> str:
    """Return arguments as the text that messages hold."""
    return bytes(block.args).decode() if block.args_text is None else block.args_text


def free_text(args: Raw) -> str:
    """Return what a custom tool is given, out of the object that stands for it; an object of another shape as it is."""
    members = read_object(args)
    text = members.maybe_text("input")
    if text is not None:
        return text
    return bytes(args).decode() if members.rest() else ""
