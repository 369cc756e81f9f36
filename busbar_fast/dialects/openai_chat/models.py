"""The list of models as the vendor shows it."""

from collections.abc import Iterable

import orjson


def encode_models(names: Iterable[str], created_s: int) -> bytes:
    """Return the list envelope."""
    rows = [{"id": name, "object": "model", "created": created_s, "owned_by": "system"} for name in names]
    return orjson.dumps({"object": "list", "data": rows})
