"""What commands that talk to a running gateway share: how their words are read, and how it is asked.

Knows HTTP and nothing of a gateway's inside. Tokens come from the environment, where they are in no list of processes.
"""

import argparse
import http.client
from collections.abc import Mapping
from typing import Final, NamedTuple, NoReturn
from urllib.parse import urlsplit

DEFAULT_URL: Final = "http://127.0.0.1:8080"
EXIT_CODES: Final = "exit codes: 0 done, 1 refused or nobody there, 2 a mistake on the command line\n"
_KINDS: Final = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}


class Failed(Exception):
    """What was asked for was not done; the text says why."""


class Misused(Exception):
    """The words make no sense; the text says which."""


class Asked(Exception):
    """The words asked for help; the text is it."""


class Parser(argparse.ArgumentParser):
    """Raises instead of printing."""

    def error(self, message: str) -> NoReturn:
        raise Misused(f"{self.prog}: {message}")

    def print_help(self, file: object = None) -> NoReturn:  # noqa: ARG002  whoever asked prints it
        raise Asked(self.format_help())


class Reply(NamedTuple):
    """What a gateway answered."""

    status: int
    raw: bytes


class Peer:
    """A gateway at a URL, which is shown without what may be secret. Its connection is kept from call to call."""

    def __init__(self, command: str, url: str, timeout_s: float) -> None:
        self.url = _shown(url)
        try:
            place = urlsplit(url)
            kind, host, port = _KINDS[place.scheme], place.hostname or "", place.port
            if not host:
                raise ValueError(url)
            self._path = place.path.rstrip("/")
            self._connection = kind(host, port, timeout=timeout_s)
        except (LookupError, ValueError, http.client.HTTPException) as error:
            raise Misused(f"{command}: {self.url!r} is no URL of a gateway") from error

    def ask(self, method: str, path: str, fields: Mapping[str, str], body: str | None = None) -> Reply:
        """Return the answer to a request. Raise Failed if there is none."""
        was_open = self._connection.sock is not None
        try:
            return self._exchange(method, path, fields, body)
        except ConnectionError as error:
            if not was_open or method != "GET":
                raise Failed(self._reason(error)) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Failed(self._reason(error)) from error
        try:  # a connection that nobody used for long is closed over there
            return self._exchange(method, path, fields, body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Failed(self._reason(error)) from error

    def _exchange(self, method: str, path: str, fields: Mapping[str, str], body: str | None) -> Reply:
        try:
            self._connection.request(method, self._path + path, body, dict(fields))
            answer = self._connection.getresponse()
            return Reply(answer.status, answer.read())
        except BaseException:
            self._connection.close()  # whatever may still come is not for the next call
            raise

    def _reason(self, error: Exception) -> str:
        return f"{self.url}: {getattr(error, 'strerror', None) or str(error) or type(error).__name__}"

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()


def _shown(url: str) -> str:
    """Return a URL with `***` for the user in it, and without its query; neither is used."""
    before, _, host = url.partition("?")[0].rpartition("@")
    scheme, separator, _ = before.partition("://")
    return f"{scheme}{separator}***@{host}" if separator else f"***@{host}" if before else host


def read_token(environ: Mapping[str, str], name: str) -> str:
    """Return the token in a variable, "" if it is not set. Raise Failed if no header could carry it."""
    token = environ.get(name, "").strip()
    if not (token.isascii() and (token.isprintable() or not token)):
        raise Failed(f"{name} holds what cannot stand in a header")
    return token
