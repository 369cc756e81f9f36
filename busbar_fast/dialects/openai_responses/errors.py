"""What an upstream of this dialect says when it refuses. Whose fault that is, is decided elsewhere."""

from typing import Final

from busbar_fast.dialects.openai_shared_errors import read_shared, speaks_of_length
from busbar_fast.dialects.upstream_errors import UpstreamError, find_value, lowered, trimmed
from busbar_fast.wire.heads import Fields

_RESPONSE: Final = b"response"


def read_error(status: int, fields: Fields, body: bytes, epoch_s: float) -> UpstreamError:
    """Return what is wrong; an event that reports a failure has it in a member of its `response`."""
    document = trimmed(body)
    error = read_shared(status, fields, find_value(document, _RESPONSE) or document, epoch_s)
    return speaks_of_length(error, lowered(document))
