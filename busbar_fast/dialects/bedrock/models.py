"""The list of models as the vendor shows it elsewhere: its runtime, whose paths we claim, has none."""

from typing import Any

import orjson


def encode_models(names: list[str]) -> bytes:
    """Return the list."""
    return orjson.dumps({"modelSummaries": [_row(name) for name in names]})


def encode_model(name: str) -> bytes:
    """Return one entry."""
    return orjson.dumps({"modelDetails": _row(name)})


def _row(name: str) -> dict[str, Any]:
    return {"modelId": name, "modelName": name, "responseStreamingSupported": True}
