"""What the mock backend reads in a request, the same for all six dialects.

`Ask` is the neutral record; each module under `replies/` fills it from the shape of its dialect with the functions
below. They are as strict as the vendors where a gateway can go wrong (model, messages) and look at nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import HTTP
from typing import Any

from busbar_fast.errors import BusbarError, Side


class BadAsk(BusbarError):
    """The vendor would refuse this request: the text of its error and the member at fault."""

    side = Side.DOWNSTREAM
    status = 400

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


@dataclass(frozen=True, slots=True)
class Place:
    """What a request says outside its body: parts of the path, decoded, and the query."""

    model: str | None = None
    action: str = ""
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request, as far as an answer depends on it."""

    model: str
    prompt: str
    stream: bool = False
    include_usage: bool = False
    as_array: bool = False
    document: Mapping[str, Any] = field(default_factory=dict)


def require_model(document: Mapping[str, Any], place: Place) -> str:
    """Return the model named by the body, else by the path."""
    model = document.get("model", place.model)
    if not isinstance(model, str) or not model:
        raise BadAsk("you must provide a model parameter", "model")
    return model


def read_form(body: bytes, content_type: bytes) -> Mapping[str, Any]:
    """Return the fields of a form: texts as they are, a file as its bytes."""
    form = message_from_bytes(b"Content-Type: %b\r\n\r\n%b" % (content_type, body), policy=HTTP)
    if not form.is_multipart():
        raise BadAsk("We could not parse the form of your request.")
    fields: dict[str, Any] = {}
    for part in form.iter_parts():
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)  # a part of a form has no parts itself
        name = part.get_param("name", header="content-disposition")
        fields[str(name)] = content if part.get_filename() else content.decode("utf-8", "replace")
    return fields


def require_turns(document: Mapping[str, Any], key: str) -> list[Any]:
    """Return the non-empty list of turns under `key`."""
    turns = document.get(key)
    if not isinstance(turns, list) or not turns:
        raise BadAsk(f"{key}: a non-empty list is required", key)
    return turns


def last_user_text(turns: list[Any], key: str = "content") -> str:
    """Return the text of the last user turn that has any; a turn without a role is the user's."""
    for turn in reversed(turns):
        if isinstance(turn, dict) and turn.get("role", "user") == "user":
            text = text_of(turn.get(key))
            if text:
                return text
    return ""


def text_of(content: object) -> str:
    """Return the text of a string, of a block, or of a list of both; lists inside lists say nothing."""
    blocks = content if isinstance(content, list) else [content]
    return "".join(_block_text(block) for block in blocks)


def _block_text(block: object) -> str:
    text = block.get("text") if isinstance(block, dict) else block
    return text if isinstance(text, str) else ""
