"""What the base URL of an AWS endpoint says: the host that is signed, and the region.

Pure text work. It must not know any service: the labels that a region follows come from the caller.
"""

import re
from collections.abc import Collection
from itertools import pairwise
from typing import Final

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_find_authority_end = re.compile(r"[/\\?#]").split
_match_port = re.compile(r"(.*?):([0-9]{0,5})").fullmatch
_is_region = re.compile(r"[a-z]+(?:-[a-z]+)+-[0-9]+").fullmatch


def signed_host(base_url: str) -> str:
    """Return the value of `Host` for a URL: lower case, without user, path, and the port that its scheme implies."""
    scheme, _, rest = base_url.partition("://")
    authority = _find_authority_end(rest, 1)[0].rpartition("@")[2].lower()
    match = _match_port(authority)
    if match is None:
        return authority
    host, port = match.groups()
    is_implied = not port or int(port) == _DEFAULT_PORTS.get(scheme.lower())
    return host if is_implied else f"{host}:{int(port)}"


def find_region(base_url: str, labels: Collection[str]) -> str:
    """Return the region in a URL's host: what follows one of these labels and looks like one; empty if nothing does."""
    host = signed_host(base_url).partition(":")[0]
    for label, following in pairwise(host.split(".")):
        if label in labels and _is_region(following):
            return following
    return ""
