"""What answers of the Responses API count, and how their streams end."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from busbar_fast.dialects.dialect import StreamFault, Usage
from busbar_fast.dialects.openai_responses.watch import StreamWatch, new_watch
from busbar_fast.dialects.watching import DocumentWatch
from tests.dialects.watches import DOCUMENT, EVENTS, Said, counted, documents_of, fed
from tests.dialects.watches import event as plain_event
from tests.wire.twins import cut_at, every_cut

PROPERTY = settings(derandomize=True, deadline=None, max_examples=150)

USAGE = (
    b'{"input_tokens":100,"input_tokens_details":{"cached_tokens":30,"cache_write_tokens":0},'
    b'"output_tokens":18,"output_tokens_details":{"reasoning_tokens":4},"total_tokens":118}'
)
OBJECT = (
    b'{"id":"resp_7c","object":"response","created_at":1760002000,"status":"%b","model":"m","output":['
    b'{"type":"message","content":[{"type":"output_text","text":"\\"usage\\":{\\"input_tokens\\":7} \xc3\xa9",'
    b'"usage":{"input_tokens":9}}]}],"usage":%b,"user":null}'
)


def event(name: bytes, payload: bytes) -> bytes:
    """Return one event as the vendor frames it."""
    return b'event: %b\ndata: {"type":"%b","sequence_number":0,%b}\n\n' % (name, name, payload)


def stream(last: bytes) -> bytes:
    """Return a stream that ends with this event."""
    return (
        event(b"response.created", b'"response":' + OBJECT % (b"in_progress", b"null"))
        + event(b"response.output_text.delta", b'"delta":"\xf0\x9f\x8c\x8a","usage":{"input_tokens":5}')
        + event(last, b'"response":' + OBJECT % (b"completed", USAGE))
    )


def twin(raw: bytes) -> Said:
    """Return what a stream says by way of its documents."""
    said = Said()
    for fields, document in documents_of(raw):
        if not isinstance(document, dict):
            continue
        kind = (fields.name or b"").decode() or document.get("type")
        if kind in ("error", "response.failed") and said.fault is None:
            said = said._replace(fault=StreamFault(str(kind), fields.payload or b""))
        response = document.get("response")
        usage = response.get("usage") if isinstance(response, dict) else None
        if isinstance(usage, dict) and usage.keys() & {"input_tokens", "output_tokens"}:
            said = said._replace(usage=Usage(usage.get("input_tokens", 0), usage.get("output_tokens", 0)))
        is_end = kind in ("response.completed", "response.incomplete", "response.failed")
        said = said._replace(has_ended=said.has_ended or is_end)
    return said


def test_type_chooses_the_watch() -> None:
    """An event stream is told by its type, everything else is read as one document."""
    assert type(new_watch(EVENTS)) is StreamWatch
    assert type(new_watch(DOCUMENT)) is DocumentWatch


def test_object_cut_anywhere_counts_the_same() -> None:
    """Responses §10: the usage of the object counts, however the bytes come."""
    for pieces in every_cut(OBJECT % (b"completed", USAGE)):
        assert counted(new_watch(DOCUMENT), pieces) == Usage(100, 18)


@pytest.mark.parametrize(
    "answer",
    [stream(b"response.completed"), stream(b"response.incomplete").replace(b"\n", b"\r\n")],
)
def test_stream_cut_anywhere_says_the_same(answer: bytes) -> None:
    """Responses cases 57 and 66: the usage of the object in the last event counts, however the bytes come."""
    assert twin(answer) == (Usage(100, 18), True, None)
    for pieces in every_cut(answer):
        assert fed(new_watch(EVENTS), pieces) == (Usage(100, 18), True, None)


def test_last_event_of_any_size_counts() -> None:
    """Responses §10: the last event repeats instructions, tools and the whole answer, and is not kept."""
    long = b'"response":{"instructions":"%b","usage":%b}' % (b"tide " * 100_000, USAGE)
    answer = event(b"response.completed", long)
    pieces = [answer[at : at + 65_536] for at in range(0, len(answer), 65_536)]
    assert fed(new_watch(EVENTS), pieces) == (Usage(100, 18), True, None)


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        (b'{"input_tokens":10,"output_tokens":5,"input_tokens_details":{"cached_tokens":40}}', Usage(40, 5)),
        (b'{"input_tokens":10,"output_tokens":5,"cached_tokens":40}', Usage(10, 5)),
        (b'{"input_tokens":10,"output_tokens":5}', Usage(10, 5)),
        (b'{"prompt_tokens":10,"completion_tokens":5}', None),
        (b"null", None),
    ],
)
def test_usage_is_read_with_what_there_is(usage: bytes, counted: Usage | None) -> None:
    """Responses case 58: more cached than put in counts as put in, and details may be missing."""
    watch = new_watch(DOCUMENT)
    watch.feed(b'{"usage":%b}' % usage)
    assert watch.maybe_usage() == counted


@pytest.mark.parametrize(
    ("document", "name", "has_ended", "fault"),
    [
        ({"type": "response.created", "response": {"usage": None, "error": None}}, b"response.created", False, ""),
        ({"type": "response.completed", "response": {}}, b"response.completed", True, ""),
        ({"type": "response.incomplete"}, b"", True, ""),
        ({"type": "response.failed", "response": {"error": {"code": "server_error"}}}, b"", True, "response.failed"),
        ({"type": "response.failed"}, b"response.failed", True, "response.failed"),
        ({"type": "error", "code": "x", "message": "y", "param": None}, b"error", False, "error"),
        ({"type": "error", "message": "y"}, b"", False, "error"),
        ({"type": "response.output_text.delta", "delta": '"type":"error" response.failed'}, b"", False, ""),
        ({"response": "response.completed"}, b"", False, ""),
    ],
)
def test_ends_and_errors_are_seen(document: object, name: bytes, has_ended: bool, fault: str) -> None:
    """Responses case 62 and reliability §9: the name of an event, else its type, says how a stream ends."""
    answer = event(b"response.created", b'"response":{}') + plain_event(document, name)
    wanted = (fault, json.dumps(document).encode()) if fault else None
    for pieces in every_cut(answer):
        assert fed(new_watch(EVENTS), pieces) == (None, has_ended, wanted)


RESPONSES = st.one_of(
    st.none(),
    st.just("usage"),
    st.fixed_dictionaries(
        {"output": st.text('é"\\usage{}[],:🙂', max_size=8)},
        optional={
            "usage": st.one_of(
                st.none(),
                st.dictionaries(st.sampled_from(["input_tokens", "output_tokens", "total"]), st.integers(0, 99)),
            )
        },
    ),
)
KINDS = ["response.completed", "response.incomplete", "response.failed", "error", "response.created", "x"]


@PROPERTY
@given(
    events=st.lists(
        st.builds(
            plain_event,
            st.fixed_dictionaries({"type": st.sampled_from(KINDS), "response": RESPONSES}),
            st.sampled_from([b"", b"", b"error", b"response.completed"]),
        ),
        max_size=5,
    ),
    places=st.lists(st.integers(0, 600), max_size=6),
    line_end=st.sampled_from([b"\n", b"\r\n"]),
)
def test_stream_agrees_with_the_twin(events: list[bytes], places: list[int], line_end: bytes) -> None:
    """Whatever the events hold, the watch finds what a parser would."""
    answer = b"".join(events).replace(b"\n", line_end)
    assert fed(new_watch(EVENTS), cut_at(answer, places)) == twin(answer)
