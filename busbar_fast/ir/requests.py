"""What a client asks of a model, whatever it speaks. Plain records.

Numbers are `Raw`: digits stay as they were written and are read only to compare them with a limit.
"""

from enum import IntEnum

from msgspec import Raw, Struct, field

from busbar_fast.ir.blocks import NOTHING, AnyBlock, Ext, Mark, Text


class Role(IntEnum):
    """Who speaks."""

    SYSTEM = 1  # in the middle of a conversation
    USER = 2
    ASSISTANT = 3
    TOOL = 4


class Message(Struct, gc=False):
    """One turn."""

    role: Role
    blocks: list[AnyBlock] = []
    ext: Ext | None = None


class Tool(Struct, gc=False):
    """A function that a model may call. The schema is never rewritten here."""

    name: str
    description: str = ""
    schema: Raw = NOTHING
    is_openapi: bool = False  # the schema is OpenAPI's kind, not JSON Schema
    strict: bool | None = None
    mark: Mark | None = None
    is_custom: bool = False  # takes free text: a function with one string `input` for those who have no such thing
    ext: Ext | None = None


class Place(Struct, frozen=True, gc=False):
    """About where a user is."""

    city: str = ""
    region: str = ""
    country: str = ""
    timezone: str = ""


CONTEXT_SIZES = ("low", "medium", "high")


class HostedTool(Struct, gc=False):
    """A tool that the provider runs.

    What follows `raw` was read of it for others who run one of this kind. They write it anew: `raw` is nothing then.
    """

    kind: str  # web_search, code_execution, file_search, url_context, computer_use, maps, image_generation, mcp, other
    owner: str
    raw: Raw
    allowed_domains: list[str] = []  # a search finds nothing elsewhere
    blocked_domains: list[str] = []  # a search finds nothing there
    place: Place | None = None  # where a search is made from
    context_size: str = ""  # how much of what was found is read, one of CONTEXT_SIZES
    has_more: bool = False  # something that was not read


class ChoiceMode(IntEnum):
    """Whether a tool is called."""

    AUTO = 1
    NONE = 2
    REQUIRED = 3
    NAMED = 4


class ToolChoice(Struct, gc=False):
    """Whether a tool is called, and which may be. `allowed` narrows any mode; empty: all of them."""

    mode: ChoiceMode
    name: str = ""
    allowed: list[str] = []


class Sampling(Struct, gc=False):
    """How an answer is drawn, and how long it may be."""

    max_tokens: Raw = NOTHING
    temperature: Raw = NOTHING
    top_p: Raw = NOTHING
    top_k: Raw = NOTHING
    seed: Raw = NOTHING
    n: Raw = NOTHING
    frequency_penalty: Raw = NOTHING
    presence_penalty: Raw = NOTHING
    stop: list[str] = []
    has_logprobs: bool | None = None
    top_logprobs: Raw = NOTHING


class OutputFormat(Struct, gc=False):
    """What an answer should look like: JSON, perhaps by a schema."""

    schema: Raw = NOTHING
    is_openapi: bool = False
    name: str = ""
    description: str = ""
    strict: bool | None = None
    mime: str = ""


class ReasoningMode(IntEnum):
    """Whether a model should think."""

    OFF = 1
    ON = 2
    DYNAMIC = 3  # as much as it likes


class Reasoning(Struct, gc=False):
    """How much a model should think. Of effort and budget at most one is what the client said."""

    mode: ReasoningMode
    effort: str = ""  # minimal, low, medium, high, xhigh, max
    budget: int | None = None  # tokens
    is_shown: bool | None = None  # the client wants to see it
    summary: str = ""


class Document(Struct, gc=False):
    """Something to answer from and to cite."""

    id: str = ""
    title: str = ""
    text: str = ""
    content: Raw = NOTHING  # an object; `text` is empty then
    is_cited: bool = True


class Request(Struct, gc=False):
    """A whole request. `source` is the name of the dialect it was written in, which alone gets `ext` back.

    `held` names the members that lean on something kept by the vendor; `guards` those that are safety controls. Both
    also stand in `ext`. `echo` is what an answer repeats of its request.
    """

    source: str
    system: list[AnyBlock] = []  # Text for the most part
    messages: list[Message] = []
    tools: list[Tool] = []
    hosted: list[HostedTool] = []
    tool_choice: ToolChoice | None = None
    parallel_tools: bool | None = None
    strict_tools: bool | None = None
    sampling: Sampling = field(default_factory=Sampling)
    format: OutputFormat | None = None
    reasoning: Reasoning | None = None
    documents: list[Document] = []
    user: str = ""
    mark: Mark | None = None  # "cache whatever is worth it"
    in_stream: bool = False
    include_usage: bool | None = None
    held: list[str] = []
    guards: list[str] = []
    ext: Ext | None = None
    echo: Ext | None = None


def system_text(request: Request) -> list[str]:
    """Return the texts of the system blocks."""
    return [block.text for block in request.system if isinstance(block, Text)]
