"""The list of models as the vendor shows it: one page that holds them all."""

import time

import orjson


def encode_models(names: list[str], created_s: int) -> bytes:
    """Return the page."""
    rows = [_row(name, created_s) for name in names]
    first, last = (names[0], names[-1]) if names else (None, None)
    return orjson.dumps({"data": rows, "has_more": False, "first_id": first, "last_id": last})


def encode_model(name: str, created_s: int) -> bytes:
    """Return one entry."""
    return orjson.dumps(_row(name, created_s))


def _row(name: str, created_s: int) -> dict[str, str]:
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(created_s)),
        "lifecycle": "active",
    }
