"""What a dialect says about itself before any of its bytes are read: plain facts for configuration and routing."""

import re
from collections.abc import Callable, Mapping
from typing import Final

# Says why a text is refused; nothing if it is fine.
Check = Callable[[str], str]
# The default of a setting, and what a text in its place must pass.
Option = tuple[str | bool, Check]

_find_unsendable: Final = re.compile(r"[^\x20-\x7e]").search
_is_word: Final = re.compile(r"[\x21-\x7e]+").fullmatch
_is_region: Final = re.compile(r"[a-z]+(?:-[a-z]+)+-[0-9]+").fullmatch


class Facts:
    """One dialect as a provider speaks it."""

    __slots__ = (
        "complaint_of_key",
        "later_options",
        "name",
        "option_checks",
        "path",
        "provider_options",
        "region_labels",
        "settings",
        "takes_path_base",
    )

    def __init__(
        self,
        name: str,
        path: str,
        *,
        takes_path_base: bool = False,
        region_labels: tuple[str, ...] = (),
        options: Mapping[str, Option] | None = None,
        later_options: frozenset[str] = frozenset(),
        complaint_of_key: Check | None = None,
        settings: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        self.name = name
        self.path = path  # behind the base URL; `{model}` stands for the model
        self.takes_path_base = takes_path_base  # what stands before the model in the path can be replaced
        self.region_labels = region_labels  # labels of a host name that a region follows
        # Settings of a provider that only this dialect knows: their defaults, and what each must pass if it is a text.
        self.provider_options = {option: default for option, (default, _) in (options or {}).items()}
        self.option_checks = {option: check for option, (_, check) in (options or {}).items()}
        self.later_options = later_options  # those of them whose feature is still to come
        self.complaint_of_key = complaint_of_key or no_complaint  # about a key that is sent in the dialect's own way
        self.settings = settings or {}  # of the whole gateway: the words of each, its default first


def no_complaint(_text: str) -> str:
    """Accept every text."""
    return ""


def complaint_of_word(text: str) -> str:
    """Return why a text cannot stand in a header field as one word, or nothing."""
    return "" if _is_word(text) else "must be one word of ASCII characters that can stand in a header"


def complaint_of_region(text: str) -> str:
    """Return why a text is not shaped like a region, or nothing."""
    return "" if _is_region(text) else "must be shaped like a region: us-east-1, us-gov-west-1"


def complaint_of_pair(key: str) -> str:
    """Return why a key with a colon is no pair that could sign, or nothing; never any of it."""
    access, colon, rest = key.partition(":")
    if not colon:
        return ""  # it is sent as it stands
    if _find_unsendable(key):
        return "holds a character that no header may carry"
    if not access:
        return "has nothing before the first colon, where the access key id belongs"
    if not rest.partition(":")[0]:
        return "has nothing behind the first colon, where the secret access key belongs"
    return ""
