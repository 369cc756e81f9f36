"""The list of models as the vendor shows it: no time, no owner, what each can do instead."""

from typing import Any, Final

import orjson

_METHODS: Final = ("generateContent", "streamGenerateContent")


def encode_models(names: list[str]) -> bytes:
    """Return the list; there is no further page."""
    return orjson.dumps({"models": [_row(name) for name in names]})


def encode_model(name: str) -> bytes:
    """Return one entry."""
    return orjson.dumps(_row(name))


def _row(name: str) -> dict[str, Any]:
    return {"name": f"models/{name}", "displayName": name, "supportedGenerationMethods": _METHODS}
