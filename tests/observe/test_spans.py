"""Spans in protocol buffers, read back by the official messages; the header that says in which trace a caller is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from busbar_fast.observe.spans import Kind, Parent, Span, encode_batch, encode_span, parse_parent

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
ids = st.binary(min_size=8, max_size=8)
values = st.one_of(st.text(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False))


def value_of(value: object) -> object:
    """Return what a value of the official messages holds."""
    return getattr(value, str(value.WhichOneof("value")))  # type: ignore[attr-defined]


@given(
    st.builds(
        Span,
        st.binary(min_size=16, max_size=16),
        ids,
        st.one_of(st.just(b""), ids),
        st.text(),
        st.sampled_from(Kind),
        st.integers(0, 2**63),
        st.integers(0, 2**63),
        st.dictionaries(st.text(), values, max_size=4),
        st.booleans(),
    )
)
def test_official_messages_read_what_was_written(span: Span) -> None:
    """Operations §8: every field and attribute of a span arrives as it was."""
    raw = encode_batch({"service.name": "busbar-fast", "n": 3}, "scope", [encode_span(span)] * 2)
    message = ExportTraceServiceRequest()
    message.ParseFromString(raw)
    (resource,) = message.resource_spans
    assert {a.key: value_of(a.value) for a in resource.resource.attributes} == {"service.name": "busbar-fast", "n": 3}
    (scoped,) = resource.scope_spans
    assert (scoped.scope.name, len(scoped.spans)) == ("scope", 2)
    read = scoped.spans[1]
    assert (read.trace_id, read.span_id, read.parent_span_id) == (span.trace_id, span.span_id, span.parent_id)
    assert (read.name, read.kind) == (span.name, span.kind + 0)
    assert (read.start_time_unix_nano, read.end_time_unix_nano) == (span.began_ns, span.ended_ns)
    assert {a.key: value_of(a.value) for a in read.attributes} == dict(span.attributes)
    assert read.status.code == (2 if span.is_error else 0)


@pytest.mark.parametrize(
    ("field", "parent"),
    [
        (f"00-{TRACE}-{SPAN}-01", Parent(bytes.fromhex(TRACE), bytes.fromhex(SPAN), True)),
        (f"00-{TRACE}-{SPAN}-00", Parent(bytes.fromhex(TRACE), bytes.fromhex(SPAN), False)),
        (f"01-{TRACE}-{SPAN}-03-more", Parent(bytes.fromhex(TRACE), bytes.fromhex(SPAN), True)),
        (f"00-{TRACE}-{SPAN}-01-more", None),  # the first version has no more
        (f"ff-{TRACE}-{SPAN}-01", None),
        (f"00-{'0' * 32}-{SPAN}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-{SPAN}-01", None),
        (f"00-{TRACE}-{SPAN}-1", None),
        (f"00-{TRACE}-{SPAN}-01 ", None),
        ("", None),
    ],
)
def test_parent_is_read_as_the_recommendation_has_it(field: str, parent: Parent | None) -> None:
    """Operations §8 "context": what is not valid counts as if nothing had been said."""
    assert parse_parent(field.encode()) == parent
