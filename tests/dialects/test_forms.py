"""Fields of forms, found in place and never where another reader would not find them."""

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import HTTP

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from busbar_fast.dialects.forms import find_fields, is_form
from busbar_fast.errors import NotForm

PROPERTY = settings(derandomize=True, deadline=None, max_examples=150)
KIND = b"multipart/form-data; boundary=b"


def values(body: bytes, kind: bytes = KIND, name: bytes = b"model") -> list[bytes]:
    """Return the values of the fields of a name."""
    return [body[start:end] for start, end in find_fields(body, kind, name)]


def form(*parts: tuple[str, str]) -> bytes:
    """Return a form of these parts, each a line of its head and a value."""
    inside = "".join(f"--b\r\nContent-Disposition: form-data; {line}\r\n\r\n{value}\r\n" for line, value in parts)
    return f"{inside}--b--\r\n".encode()


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (b"multipart/form-data; boundary=x", True),
        (b" Multipart/Form-Data;boundary=x", True),
        (b"multipart/mixed", True),
        (b"application/json", False),
        (b"", False),
    ],
)
def test_a_form_is_known_by_its_type(kind: bytes, said: bool) -> None:
    """RFC 7578: types are compared without regard to case."""
    assert is_form(kind) is said


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ('name="model"', "a"),
        ("name=model", "a"),
        ('NAME="model"', ""),
        ('name="model"; filename="x.txt"', "a"),
        ('filename="C:\\x y.wav"; name="model"', "a\r\n\r\nb"),
        ('filename="; name=" ; name=model', "-"),
        ('name="model"\r\nContent-Type: text/plain', "two\r\nlines\r\n"),
    ],
)
def test_a_field_is_found(line: str, value: str) -> None:
    """RFC 7578 §4.2: a part says its name among other things, and the rest is its value."""
    assert values(form(('name="file"; filename="model"', "\x00\x01"), (line, value))) == [value.encode()]


def test_every_field_of_the_name_is_found() -> None:
    """Which of several counts is not for this module to say."""
    assert values(form(('name="model"', "a"), ('name="x"', "m"), ("name=model", "b"))) == [b"a", b"b"]
    assert values(form(('name="x"', "m"))) == []
    assert values(b"--b--") == []


@pytest.mark.parametrize("boundary", [b"boundary=b", b'boundary="b"', b"Boundary=b "])
def test_a_boundary_is_read(boundary: bytes) -> None:
    """RFC 2046 §5.1.1: with or without quotes."""
    assert values(form(('name="model"', "a")), b"multipart/form-data; " + boundary) == [b"a"]


@pytest.mark.parametrize(
    "kind",
    [
        b"multipart/form-data",
        b"multipart/form-data; boundary=",
        b'multipart/form-data; boundary="b',
        b"multipart/form-data; boundary=b\xff",
        b"multipart/form-data; boundary=" + b"b" * 71,
        b"multipart/form-data; xboundary=b",
        b"multipart/form-data; boundary=b; boundary=c",
        b'multipart/form-data; x="; boundary=b; y="; boundary=c',
        b"multipart/form-data; boundary*0=c; boundary=b",
        b"multipart/form-data; boundary=b; boundary*=us-ascii''c",
        b"multipart/mixed; boundary=b",
    ],
)
def test_a_form_without_a_boundary_is_none(kind: bytes) -> None:
    """RFC 2046 §5.1.1: 1 to 70 characters."""
    with pytest.raises(NotForm):
        find_fields(form(('name="model"', "a")), kind, b"model")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b",
        b"--b\r\n",
        b"{}",
        b"preamble\r\n" + form(("name=model", "a")),
        form(("name=model", "a")).replace(b"\r\n", b"\n"),
        form(("name=model", "a")) + b"more",
        form(("name=model", "a"))[:-6],
        form(("name=model", "x\n--b\r\nContent-Disposition: form-data; name=model\r\n\r\nb")),
        form(("name=model; name=x", "a")),
        form(("name=x; name*=UTF-8''model", "a")),
        form(("filename=a", "a")),
        form(('name="mo"del"', "a")),
        form(('filename="a\\"; name=model; x="; name=x', "a")),
        form(("name=model\r\n x", "a")),
        form(("name=model\r\nContent-Disposition: form-data; name=x", "a")),
        form(("name=x\nContent-Disposition: form-data; name=model", "a")),
        b"--b\r\nContent-Disposition : form-data; name=model\r\n\r\na\r\n--b--\r\n",
        b"--b\r\nContent-Disposition: attachment; name=model\r\n\r\na\r\n--b--\r\n",
        b"--b\r\n\r\na\r\n--b--\r\n",
        b"--b x\r\nContent-Disposition: form-data; name=model\r\n\r\na\r\n--b--\r\n",
    ],
)
def test_what_two_might_read_differently_is_refused(body: bytes) -> None:
    """OpenAI §13: nobody may find another model in a form than the one that was looked at."""
    with pytest.raises(NotForm):
        find_fields(body, KIND, b"model")


names = st.sampled_from(["model", "x", "file"])
texts = st.text(st.sampled_from('ab\r\n-"é'), max_size=12)


@given(st.lists(st.tuples(names, texts | texts.map(str.encode)), min_size=1, max_size=5))
@PROPERTY
def test_what_a_client_writes_is_read_as_others_read_it(fields: list[tuple[str, str | bytes]]) -> None:
    """RFC 7578: the fields are those that another reader finds in what another writer wrote."""
    parts = [(name, (None, value) if isinstance(value, str) else ("f.bin", value)) for name, value in fields]
    made = httpx.Request("POST", "http://h/", files=parts)
    kind, body = made.headers["content-type"].encode(), made.read()
    read = message_from_bytes(b"Content-Type: %b\r\n\r\n%b" % (kind, body), EmailMessage, policy=HTTP)
    theirs = [
        part.get_payload(decode=True)
        for part in read.iter_parts()
        if part.get_param("name", header="content-disposition") == "model"
    ]
    assert values(body, kind) == [
        value.encode() if isinstance(value, str) else value for name, value in fields if name == "model"
    ]
    assert len(theirs) == len(values(body, kind))


@given(st.binary(max_size=40), st.integers(0, 200), st.integers(0, 3))
@PROPERTY
def test_no_bytes_make_it_fail_otherwise(noise: bytes, at: int, cut: int) -> None:
    """Whatever comes is a form or none."""
    whole = form(('name="model"', "a"), ("name=x; filename=y", "b"))
    body = whole[: at % len(whole)] + noise + whole[at % len(whole) + cut :]
    try:
        found = find_fields(body, KIND, b"model")
    except NotForm:
        return
    assert all(0 < start <= end < len(body) for start, end in found)
