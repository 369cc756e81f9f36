"""What an upstream of this dialect says when it refuses. Whose fault that is, is decided elsewhere."""

from busbar_fast.dialects.openai_shared_errors import read_shared, speaks_of_length
from busbar_fast.dialects.upstream_errors import UpstreamError, trimmed
from busbar_fast.wire.heads import Fields


def read_error(status: int, fields: Fields, body: bytes, epoch_s: float) -> UpstreamError:
    """Return what is wrong; that a prompt is too long may stand in the message alone."""
    error = read_shared(status, fields, trimmed(body), epoch_s)
    return speaks_of_length(error, (error.message or "").lower())
