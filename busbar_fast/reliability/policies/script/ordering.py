"""`sorted`, `min` and `max`: the functions that compare many values, perhaps by a key.

Comparing two numbers or short texts is what a step stands for; long texts cost as much as many of them.
"""

from collections.abc import Callable, Sequence
from math import ceil, log2
from typing import Final

from busbar_fast.errors import ScriptError
from busbar_fast.reliability.policies.script.run import Run
from busbar_fast.reliability.policies.script.values import Value, check_keys, name_of, weight_of

# Gives the key of an item; what it costs it pays itself.
Key = Callable[[Run, Value], Value]

ORDERING: Final = frozenset(("sorted", "min", "max"))
_MIXED: Final = "only numbers can be ordered among numbers, texts among texts"


def sort(run: Run, items: Value, key: Key | None, *, is_reversed: bool) -> list[Value]:
    """Return the items of a list in order; equal ones stay as they stood."""
    keys = _keys_of(run, "sorted", items, key)
    count = len(keys)
    if count > 1:  # the list itself is paid for
        run.pay(ceil(count * (1 + log2(count))) * max(map(weight_of, keys)) - count)
    try:
        places = sorted(range(count), key=keys.__getitem__, reverse=is_reversed)
    except TypeError as error:
        raise ScriptError(_MIXED) from error
    return [items[place] for place in places]


def extreme(run: Run, name: str, items: Value, key: Key | None) -> Value:
    """Return the smallest item of a list for `min`, the largest for `max`; the first of equals."""
    keys = _keys_of(run, name, items, key)
    if not keys:
        raise ScriptError(f"`{name}` needs at least one item")
    run.pay(len(keys) * (max(map(weight_of, keys)) - 1))
    choose = min if name == "min" else max
    try:
        place = choose(range(len(keys)), key=keys.__getitem__)
    except TypeError as error:
        raise ScriptError(_MIXED) from error
    return items[place]


def _keys_of(run: Run, name: str, items: Value, key: Key | None) -> Sequence[Value]:
    """Return what a list is ordered by, and pay one step for each item."""
    if type(items) is not list:
        raise ScriptError(f"`{name}` needs a list, not {name_of(items)}")
    run.pay(len(items))
    keys = items if key is None else [key(run, item) for item in items]
    check_keys(keys)
    return keys
