"""The list of models as the vendor shows it; all of them can chat, and that is all they do here."""

import orjson


def encode_models(names: list[str]) -> bytes:
    """Return the list."""
    return orjson.dumps({"models": [_row(name) for name in names]})


def encode_model(name: str) -> bytes:
    """Return one entry."""
    return orjson.dumps(_row(name))


def _row(name: str) -> dict[str, object]:
    return {"name": name, "endpoints": ["chat"]}
