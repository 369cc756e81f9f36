"""Which modules are pure: they get bytes and give values, and never see a loop, a socket or a thread."""

from tests.house.source import Module, modules

# The only part of wire that may touch a transport. Whatever else lies in wire is on the pure shelf.
IO_SHELF = frozenset(
    f"busbar_fast.wire.{name}"
    for name in (
        "backpressure",
        "decoded",
        "dial",
        "downstream",
        "exchange",
        "gate",
        "kernel",
        "listener",
        "passers",
        "pool",
        "relay",
        "service",
        "strand",
        "tls",
        "upstream",
    )
)

# Packages and modules whose every branch is covered from their own test files.
PURE = (
    "busbar_fast.errors",
    "busbar_fast.clock",
    "busbar_fast.wire",
    "busbar_fast.aws",
    "busbar_fast.ir",
    "busbar_fast.dialects",
    "busbar_fast.reliability",
    *(f"busbar_fast.governance.{name}" for name in ("drafts", "keys", "ledger", "mounts", "sealing", "windows")),
)


def is_pure(dotted: str) -> bool:
    """Return whether this module is on the pure shelf."""
    inside = any(dotted == name or dotted.startswith(f"{name}.") for name in PURE)
    return inside and dotted not in IO_SHELF


def pure_modules() -> tuple[Module, ...]:
    """Return the modules of the pure shelf that hold code, so not the lists of exports."""
    return tuple(
        module
        for module in modules("busbar_fast")
        if is_pure(module.dotted) and not module.path.endswith("__init__.py")
    )
