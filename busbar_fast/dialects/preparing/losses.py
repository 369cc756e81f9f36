"""What a report calls members that nobody has a field for, and the strings that stand in for what is lost."""

from collections.abc import Iterable
from typing import Final

from busbar_fast.ir.blocks import Ext
from busbar_fast.ir.report import FIELDS, Report

# Names of vendors for what reports have another word for.
_LABELS: Final = {
    "safetySettings": "safety_settings",
    "safety_mode": "safety_settings",
    "requestMetadata": "metadata",
    "serviceTier": "service_tier",
    "performanceConfig": "service_tier",
    "name": "message_name",
    "candidateCount": "candidates",
    "responseModalities": "modalities",
}


def report_members(ext: Ext | None, report: Report, but: Iterable[str] = ()) -> None:
    """Note members that reach nobody but the vendor they were written for; a path means its last name."""
    for path in ext or ():
        if path not in but:
            name = path.rpartition(".")[2]
            label = _LABELS.get(name, name)
            report.dropped(label if label in FIELDS else "other")
