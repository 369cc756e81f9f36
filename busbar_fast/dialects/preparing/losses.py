"""What a report calls members that nobody has a field for."""

from typing import Final

from msgspec import Raw

from busbar_fast.ir.blocks import Ext
from busbar_fast.ir.report import FIELDS, Report

_NULL: Final = Raw(b"null")

# Names of vendors for what reports have another word for.
_LABELS: Final = {
    "candidateCount": "candidates",
    "citation_options": "citations",
    "name": "message_name",
    "performanceConfig": "service_tier",
    "prompt_cache_key": "cache_control",
    "prompt_cache_retention": "cache_control",
    "requestMetadata": "metadata",
    "responseModalities": "modalities",
    "safetySettings": "safety_settings",
    "safety_identifier": "user",
    "safety_mode": "safety_settings",
    "serviceTier": "service_tier",
    "web_search_options": "hosted_tools",
}


def report_members(ext: Ext | None, report: Report, but: tuple[str, ...] = ()) -> None:
    """Note members that reach nobody but the vendor they were written for; null says nothing that could be lost.

    A path means its last name.
    """
    if not ext:
        return
    for path, raw in ext.items():
        if raw != _NULL and path not in but:
            name = path.rpartition(".")[2]
            label = _LABELS.get(name, name)
            report.dropped(label if label in FIELDS else "other")
