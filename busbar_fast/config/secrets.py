"""Where a secret comes from: a variable, a file, or a text of the configuration that may hold references.

Records hold the source only (`schema.Secret`), so no snapshot, log or dump can hold a value. `reveal` is called when
the value is needed.
"""

import re

from busbar_fast.config.inputs import Inputs
from busbar_fast.config.schema import Secret
from busbar_fast.config.variables import expand

MAX_FILE_BYTES = 65536
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"


class NoSecret(Exception):
    """A secret's source has nothing to give; the text says why and never holds a value."""


def reveal(secret: Secret, inputs: Inputs) -> str:
    """Return a secret's value; empty if a variable is not set or there is none. Raise NoSecret."""
    if secret.kind == "none":
        return ""
    if secret.kind == "env":
        return (inputs.variable(secret.source) or "").strip()
    if secret.kind == "file":
        return _read(secret.source, inputs)
    try:
        return expand(secret.source, inputs.variable)
    except ValueError as error:
        raise NoSecret(str(error)) from error


def place_of(secret: Secret, field: str) -> str:
    """Return words for a secret's source. What looks like no variable's name may be a key put in the wrong place."""
    if secret.kind == "file":
        return secret.source
    return f"the variable {secret.source}" if re.fullmatch(_NAME, secret.source) else f"the variable named by {field}"


def _read(path: str, inputs: Inputs) -> str:
    try:
        raw = inputs.read(path)
    except OSError as error:
        raise NoSecret(f"{path}: {error.strerror or error}") from error
    if len(raw) > MAX_FILE_BYTES:
        raise NoSecret(f"{path}: larger than {MAX_FILE_BYTES} bytes")
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise NoSecret(f"{path}: not valid UTF-8") from error
    text = text.removesuffix("\n").removesuffix("\r")
    if not text.strip():
        raise NoSecret(f"{path}: empty")
    return text


def reveal_raw(secret: Secret, inputs: Inputs) -> bytes:
    """Return what a file or variable holds, as it is: for PEM material. Raise NoSecret."""
    if secret.kind == "env":
        return (inputs.variable(secret.source) or "").encode("utf-8", "surrogateescape")
    try:
        return inputs.read(secret.source)
    except OSError as error:
        raise NoSecret(f"{secret.source}: {error.strerror or error}") from error
