"""What the log says at a start: version, lanes, pools, guards, and every warning about the configuration."""

import logging
import sys
from collections.abc import Iterable
from contextlib import suppress

from busbar_fast import __version__
from busbar_fast.config.complaints import Complaint, dotted
from busbar_fast.config.schema import Config, Exhausted, Pool
from busbar_fast.observe.log import fields
from busbar_fast.wire import wheel

_log = logging.getLogger("busbar_fast")
_OPEN_TO_ALL = "W1"
BUILT_IN_ENTRIES = 14  # of the denylist, which most starts need not import


def tell_start(config: Config) -> None:
    """Log what was configured; keys and tokens are not part of it."""
    _log.info("busbar-fast starts", extra=fields(version=__version__, build=build(), config=config.config_file))
    _log.info("catalog", extra=fields(file=config.catalog_file or "inside the package"))
    for name, model in config.models.items():
        base_url = config.providers[model.provider].base_url
        cap = "none" if model.max_concurrent is None else model.max_concurrent
        _log.info("lane", extra=fields(model=name, provider=model.provider, base_url=base_url, cap=cap))
    for name, pool in config.pools.items():
        members = ",".join(member.target for member in pool.members)
        action = _action(pool.on_exhausted)
        _log.info("pool", extra=fields(pool=name, members=members, cap=_cap(pool, config), on_exhausted=action))
    security = config.security
    entries = BUILT_IN_ENTRIES + len(security.blocked_metadata_hosts)
    allowed = len(security.allow_metadata_hosts)
    _log.info("metadata guard", extra=fields(on=not security.allow_all_metadata, entries=entries, allowed=allowed))
    if config.governance.enabled:
        _log.info("governance", extra=fields(db_path=config.governance.db_path))


def build() -> str:
    """Return whether the modules that serve requests are compiled, see docs/adr/0015-compiled-hot-modules.md."""
    return "pure" if str(wheel.__file__).endswith(".py") else "compiled"


def tell_listening(config: Config, address: str) -> None:
    """Log that connections are accepted from now on."""
    has_ca = config.tls is not None and config.tls.client_ca.kind != "none"
    _log.info("busbar listening", extra=fields(listen=address, tls=config.tls is not None, mtls=has_ca))


def tell_warnings(warnings: Iterable[Complaint]) -> None:
    """Log each warning; an open door is told on stderr as well, so that no log setting hides it."""
    for warning in warnings:
        path = dotted(warning.path)
        if warning.id == _OPEN_TO_ALL:
            with suppress(OSError, AttributeError):  # nobody reads it, or there is no stderr at all
                sys.stderr.write(f"[warn] {warning}\n")
            _log.error("%s", warning.reason, extra=fields(path=path, id=warning.id))
        else:
            _log.warning("%s", warning.reason, extra=fields(path=path, id=warning.id))


def _cap(pool: Pool, config: Config) -> str:
    caps = [config.models[member.target].max_concurrent for member in pool.members]
    return "none" if None in caps else str(sum(cap for cap in caps if cap is not None))


def _action(exhausted: Exhausted) -> str:
    return f"{exhausted.action}:{exhausted.pool}" if exhausted.pool else exhausted.action
