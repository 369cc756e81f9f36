"""Agents talk over real sockets, so their tests run as those of `tests/system` do."""

from tests.system.conftest import pytest_pyfunc_call, serve

__all__ = ["pytest_pyfunc_call", "serve"]
