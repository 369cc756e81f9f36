"""The tools of coding agents: what their models are told of them, in our own words and in shapes that agents have."""

from typing import Any, Final, NamedTuple

Schema = dict[str, Any]

_DRAFT: Final = "http://json-schema.org/draft-07/schema#"
_TEXT: Final[Schema] = {"type": "string"}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 1}


class Tool(NamedTuple):
    """One of them; without a schema it takes free text."""

    name: str
    description: str
    schema: Schema | None


def _object(required: tuple[str, ...], **properties: Schema) -> Schema:
    return {
        "$schema": _DRAFT,
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _text(what: str, **more: Any) -> Schema:
    return {"type": "string", "description": what, **more}


_STEP: Final = {
    "type": "object",
    "properties": {
        "content": _text("What is to be done", minLength=1),
        "status": {"type": "string", "enum": ["open", "begun", "done"]},
        "notes": {"anyOf": [_TEXT, {"type": "null"}], "default": None},
        "parts": {"type": "array", "items": {"type": "object", "properties": {"content": _TEXT}}, "maxItems": 9},
    },
    "required": ["content", "status"],
    "additionalProperties": False,
}
_CHANGE: Final = {
    "type": "object",
    "properties": {"old": _text("Text to replace"), "new": _text("What to put there"), "all": {"type": "boolean"}},
    "required": ["old", "new"],
}
_LINES: Final = {"type": "array", "items": [_COUNT, _COUNT], "minItems": 2, "maxItems": 2}

TOOLS: Final = (
    Tool(
        "Shell",
        "Runs a command and returns what it printed.\n\nUsage:\n- quote paths with blanks\n- no editors, no pagers",
        _object(
            ("command",),
            command=_text("The command, as a shell reads it"),
            timeout_ms={"type": "number", "exclusiveMinimum": 0, "maximum": 600000},
            cwd=_text("Where to run it", default="."),
            env={"type": "object", "additionalProperties": _TEXT},
        ),
    ),
    Tool(
        "Open",
        "Returns a file with its lines numbered; a picture is returned as a picture.",
        _object(("path",), path=_text("From the root", pattern="^[^/]"), lines=_LINES),
    ),
    Tool(
        "Change",
        "Replaces text in a file. `old` must be there, and once only unless `all` is set.",
        _object(("path", "changes"), path=_TEXT, changes={"type": "array", "items": _CHANGE, "minItems": 1}),
    ),
    Tool("Put", "Writes a whole file.", _object(("path", "content"), path=_TEXT, content=_TEXT)),
    Tool(
        "Find",
        "Finds a regular expression in files.",
        _object(
            ("pattern",),
            pattern=_text("Perl's kind, e.g. `log.*Error`"),
            glob=_text("Which files, e.g. `*.{py,md}`"),
            show={"type": "string", "enum": ["lines", "files", "count"], "default": "files"},
            around={"type": "integer", "minimum": 0, "maximum": 20},
        ),
    ),
    Tool("List", "Lists files by a pattern, the newest first.", _object(("pattern",), pattern=_TEXT, root=_TEXT)),
    Tool(
        "Steps",
        "Keeps the list of what is left to do.",
        _object(("steps",), steps={"type": "array", "items": _STEP}),
    ),
    Tool(
        "Delegate",
        "Lets another agent do a task of its own and returns its report.",
        _object(("task", "kind"), task=_TEXT, kind={"enum": ["search", "plan", "review"], "type": "string"}),
    ),
    Tool("Fetch", "Reads a page and answers a question about it.", _object(("url",), url=_text("Where", format="uri"))),
    Tool("Seek", "Searches the web.", _object(("query",), query=_TEXT, only={"type": "array", "items": _TEXT})),
    Tool("Notebook", "Changes a cell.", _object(("path", "cell"), path=_TEXT, cell={"oneOf": [_COUNT, _TEXT]})),
    Tool("Watch", "Returns what a running command has printed since.", _object(("id",), id=_TEXT)),
    Tool("Stop", "Ends a running command.", _object(("id",), id=_TEXT)),
    Tool(
        "Ask",
        "Asks the user to choose.",
        _object(("question",), question=_TEXT, options={"type": "array", "items": _TEXT}),
    ),
    Tool(
        "mcp__tides__height_at",
        "Height of the tide.",
        _object(("port", "at"), port=_TEXT, at=_text("UTC", format="date-time")),
    ),
    Tool("Done", "Says that the plan is ready.", {"type": "object", "properties": {}}),
)
# The other agent changes files by a patch, which is free text.
PATCH: Final = Tool("patch_files", "Changes files. Write the patch as it is, without quotes around it.", None)
SHELL: Final = Tool(
    "shell",
    "Runs a program and returns what it printed.",
    _object(
        ("command",),
        command={"type": "array", "items": _TEXT, "description": "Program and arguments"},
        workdir=_TEXT,
        timeout_ms={"type": "number"},
    ),
)
PLAN: Final = Tool("update_plan", "Keeps the plan.", _object(("plan",), plan={"type": "array", "items": _STEP}))
LOOK: Final = Tool("view_image", "Shows a picture of the working folder to the model.", _object(("path",), path=_TEXT))
PATCHING_TOOLS: Final = (SHELL, PATCH, PLAN, LOOK)
