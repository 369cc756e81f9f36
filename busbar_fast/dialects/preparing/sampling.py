"""How an answer is drawn, where the target takes fewer numbers or narrower ones."""

from typing import Final

from msgspec import Raw, structs

from busbar_fast.dialects.translator import Abilities, Recipient
from busbar_fast.errors import Misshapen
from busbar_fast.ir.blocks import NOTHING
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import Sampling

_RARE: Final[tuple[str, ...]] = (
    "top_k",
    "seed",
    "n",
    "frequency_penalty",
    "presence_penalty",
    "has_logprobs",
    "top_logprobs",
)
_LABELS: Final = {"has_logprobs": "logprobs", "top_logprobs": "logprobs"}
_ABSENT: Final[dict[str, object]] = {"has_logprobs": None}
_ZERO: Final = Raw(b"0")
_ONE: Final = Raw(b"1")
_MOST_SHOWN: Final = 24  # digits of a number in a report


def prepared_sampling(sampling: Sampling, target: Abilities, recipient: Recipient, report: Report) -> Sampling:
    """Return what the target takes of it. Raise Misshapen for an answer without tokens, which few vendors know."""
    if sampling.max_tokens == _ZERO:
        raise Misshapen("max_tokens", "must be at least 1 for this model")
    changes: dict[str, object] = {}
    # HOT: most ask for nothing rare, and asking for each takes 1 µs, CPython 3.11, 2026-11
    is_plain = sampling == Sampling(sampling.max_tokens, sampling.temperature, sampling.top_p, stop=sampling.stop)
    for name in () if is_plain else _RARE:
        value = getattr(sampling, name)
        if value is not NOTHING and value is not None and name not in target.sampling:
            _note_lost(name, value, report)
            changes[name] = _ABSENT.get(name, NOTHING)
    for name, (low, high) in target.ranges.items():
        raw: Raw = getattr(sampling, name)
        if not raw or name in changes:
            continue
        clamped = _clamped(raw, low, high)
        if clamped is not raw:
            changes[name] = clamped
            report.clamped(_LABELS.get(name, name), f"{_shown(raw)} to {_shown(clamped)}")
    if not sampling.max_tokens and target.needs_max_tokens:
        changes["max_tokens"] = Raw(b"%d" % recipient.default_max_tokens)
        report.filled("max_tokens", str(recipient.default_max_tokens))
    most, stops = target.most_stops, len(sampling.stop)
    if most is not None and stops > most:
        changes["stop"] = sampling.stop[:most]
        (report.truncated if most else report.dropped)("stop", f"{stops} to {most}")
    return structs.replace(sampling, **changes) if changes else sampling


def _note_lost(name: str, value: Raw | bool | None, report: Report) -> None:
    """Note a member that the target lacks, if it asked for anything."""
    if value and not (name == "n" and value == _ONE):
        report.dropped(_LABELS.get(name, name))


def _clamped(raw: Raw, low: float, high: float) -> Raw:
    """Return a number, or the limit that it passes."""
    value = float(bytes(raw))
    if low <= value <= high:
        return raw
    return Raw(b"%.15g" % (low if value < low else high))


def _shown(raw: Raw) -> str:
    return bytes(raw)[:_MOST_SHOWN].decode()
