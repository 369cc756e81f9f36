"""Asynchronous tests: each runs on a fresh event loop of the kind this run is for."""

import asyncio
import inspect
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest
import uvloop

from busbar_fast.wire.limits import Limits
from busbar_fast.wire.service import Responder
from tests.conftest import LOOPS, choice
from tests.system.serving import Serve, Site, echo, serving

NEW_LOOP: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "uvloop": uvloop.new_event_loop,
    "asyncio": asyncio.new_event_loop,
}


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is a coroutine function."""
    test = pyfuncitem.obj
    if not inspect.iscoroutinefunction(test):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in inspect.signature(test).parameters}
    with asyncio.Runner(loop_factory=NEW_LOOP[choice("BUSBAR_LOOP", LOOPS)]) as runner:
        runner.run(test(**arguments))
    return True


@pytest.fixture
def serve(parser_kind: str) -> Serve:
    """Return what starts a server with the parser of this run."""

    def start(respond: Responder = echo, limits: Limits | None = None) -> AbstractAsyncContextManager[Site]:
        return serving(parser_kind, respond, limits or Limits())

    return start
