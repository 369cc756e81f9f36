"""The vendor's client, wired to answers of our choice."""

from collections.abc import Iterable

import httpx2
from openai import OpenAI

from busbar_fast.dialects.dialect import Refusal


def header_pairs(fields: bytes) -> list[tuple[bytes, bytes]]:
    """Return whole header lines as pairs."""
    assert fields.endswith(b"\r\n")
    pairs = [line.partition(b": ") for line in fields.split(b"\r\n")[:-1]]
    assert all(separator for _, separator, _ in pairs)
    return [(name, value) for name, _, value in pairs]


class Wire:
    """Answers every request alike and remembers the last one's path. `client` is the vendor's."""

    def __init__(
        self,
        refusal: Refusal,
        *,
        base_url: str = "http://host/v1",
        pieces: Iterable[bytes] | None = None,
        retries: int = 0,
    ) -> None:
        self.paths: list[bytes] = []
        self._refusal = refusal
        self._pieces = pieces
        http = httpx2.Client(transport=httpx2.MockTransport(self._answer))
        self.client = OpenAI(api_key="test-key", base_url=base_url, http_client=http, max_retries=retries)

    def answer_with(self, body: bytes) -> None:
        """Answer the next requests with another body; a client takes long to be made."""
        self._refusal = self._refusal._replace(body=body)

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.paths.append(request.url.raw_path)
        headers = header_pairs(self._refusal.fields)
        content = iter(self._pieces) if self._pieces is not None else self._refusal.body
        return httpx2.Response(self._refusal.status, headers=headers, content=content)
