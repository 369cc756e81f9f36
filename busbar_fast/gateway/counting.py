"""A request to count the tokens of a conversation, for a lane of the client's own dialect: no other can count them.

What other vendors have sealed is taken out as it would be if the conversation were held. The answer passes untouched.
"""

from busbar_fast.dialects.counted import find_counted
from busbar_fast.gateway.translation import Translation
from busbar_fast.ir.requests import Request as Neutral


class Counting(Translation):
    """See the module, and `Crossing`. `dispatch` has seen that there is a conversation."""

    __slots__ = ("_before", "_behind")

    def _read(self) -> Neutral:
        """Read the conversation where it stands in what the lane gets; that is not kept, it names the lane's model."""
        request = self.request
        body = self.lane.shape(request.body, request.spans)
        place = find_counted(body, request.dialect.counted_at)
        assert place is not None
        start, end = place
        self._before, self._behind = body[:start], body[end:]
        return self.client.read_request(body[start:end], request.ask, self._report)

    def _write_request(self) -> bytes:
        return b"".join((self._before, super()._write_request(), self._behind))
