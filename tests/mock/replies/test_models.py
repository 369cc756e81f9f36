"""The list of models of the mock backend, read by four official clients."""

from busbar_fast.mock import Script, answer
from tests.mock.official import anthropic_client, cohere_client, gemini_client, openai_client

NAMES = ["mock-large", "mock-small"]


def test_list_is_read_by_openai() -> None:
    """The plain path without a fingerprint gives the OpenAI shape."""
    assert [model.id for model in openai_client(Script()).models.list()] == NAMES


def test_list_is_read_by_anthropic() -> None:
    """The version header gives the client away."""
    page = anthropic_client(Script()).models.list()
    assert [model.id for model in page] == NAMES
    assert page.data[0].created_at.year == 2025


def test_list_is_read_by_gemini() -> None:
    """The key header gives the client away, and one path is Gemini's alone."""
    assert [model.name for model in gemini_client(Script()).models.list()] == [f"models/{name}" for name in NAMES]
    assert b'"models/mock-large"' in answer(b"GET", b"/v1beta/models", {}, b"").frames[0]


def test_list_is_read_by_cohere() -> None:
    """The name of the client gives it away."""
    assert [model.name for model in cohere_client(Script()).models.list().models] == NAMES
    assert b'"endpoints"' in answer(b"GET", b"/v1/models", {b"user-agent": b"cohere/5.1"}, b"").frames[0]
