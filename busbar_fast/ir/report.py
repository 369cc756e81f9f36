"""What became of the parts of a request or an answer that another dialect cannot carry. Never silent, never text.

Labels come from a fixed list, so that whoever counts them counts few. A word that somebody made up is not kept: one
document may hold a hundred thousand of them. Knows no dialect.
"""

from enum import IntEnum
from typing import Final, NamedTuple

# What entries name; everything else is `other`.
FIELDS: Final = frozenset(
    (
        "system",
        "message_role",
        "message_name",
        "text",
        "citations",
        "plan",
        "refusal",
        "thinking",
        "redacted_thinking",
        "signature",
        "tool_use",
        "tool_result",
        "tool_error",
        "tool_id",
        "tool_name",
        "tool_args",
        "json",
        "image",
        "image_url",
        "image_detail",
        "document",
        "audio",
        "video",
        "media_in_result",
        "vendor_file",
        "search_result",
        "code",
        "opaque_block",
        "annotations",
        "tools",
        "tool_schema",
        "tool_strict",
        "tool_choice",
        "allowed_tools",
        "parallel_tool_calls",
        "hosted_tools",
        "custom_tool",
        "max_tokens",
        "temperature",
        "top_p",
        "top_k",
        "seed",
        "n",
        "frequency_penalty",
        "presence_penalty",
        "stop",
        "logprobs",
        "response_format",
        "reasoning",
        "documents",
        "user",
        "cache_control",
        "stream_options",
        "server_state",
        "guardrails",
        "safety_settings",
        "metadata",
        "service_tier",
        "labels",
        "store",
        "modalities",
        "prediction",
        "logit_bias",
        "candidates",
        "dimensions",
        "input_type",
        "truncate",
        "stop_sequence",
        "usage",
        "unknown_event",
        "other",
    )
)


class Action(IntEnum):
    """What was done."""

    DROPPED = 1
    CLAMPED = 2
    MAPPED = 3
    TRUNCATED = 4
    FILLED = 5


WORDS: Final = {action: action.name.lower() for action in Action}


class Entry(NamedTuple):
    """One loss. `detail` is for people: a number or a kind, never what somebody said."""

    action: Action
    field: str
    detail: str = ""


class Report:
    """What was lost on one way from one dialect to another, in order; the same loss is noted once."""

    __slots__ = ("entries",)

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    @property
    def said(self) -> list[tuple[str, str, str]]:
        """The losses in words: what was done, to what, and the detail."""
        return [(WORDS[action], field, detail) for action, field, detail in self.entries]

    def dropped(self, field: str, detail: str = "") -> None:
        """Note what has no place."""
        self._note(Action.DROPPED, field, detail)

    def clamped(self, field: str, detail: str = "") -> None:
        """Note a number that was out of range."""
        self._note(Action.CLAMPED, field, detail)

    def mapped(self, field: str, detail: str = "") -> None:
        """Note what stands elsewhere or means only about the same."""
        self._note(Action.MAPPED, field, detail)

    def truncated(self, field: str, detail: str = "") -> None:
        """Note a list or text that was too long."""
        self._note(Action.TRUNCATED, field, detail)

    def filled(self, field: str, detail: str = "") -> None:
        """Note what was missing and needed."""
        self._note(Action.FILLED, field, detail)

    def _note(self, action: Action, field: str, detail: str) -> None:
        entry = Entry(action, field if field in FIELDS else "other", detail)
        if entry not in self.entries:
            self.entries.append(entry)
