"""Files inside URLs, as several vendors have them: `data:` and the type, then the bytes in base64."""

import re

from busbar_fast.ir.blocks import Inline, Url

_match = re.compile(r"data:([^;,]*)(?:;[^;,]*)*;base64,", re.IGNORECASE).match


def read_url(url: str) -> tuple[Inline | Url, str]:
    """Return what a URL leads to, and of what type it is, empty if the URL does not say."""
    match = _match(url)
    if match is None:
        return Url(url), ""
    return Inline(url[match.end() :]), match[1].lower()


def data_url(mime: str, base64: str) -> str:
    """Return a URL that holds a file."""
    return f"data:{mime};base64,{base64}"
