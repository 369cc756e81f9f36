"""Reading what a whole answer used, and charging its request: `python -m perf.micro.bench_watch`."""

from busbar_fast.dialects.dialect import Usage
from busbar_fast.dialects.plain_usage import plain_usage
from busbar_fast.dialects.registry import speak
from busbar_fast.governance.keys import Key
from busbar_fast.governance.ledger import Charge, Ledger
from perf import shapes
from perf.micro.stopwatch import print_table

REPLY = shapes.REPLY
SPOKEN = speak("openai")
JSON = b"application/json"
LEDGER = Ledger()
FREE = Key("vk_1", "free")
CAPPED = Key("vk_2", "capped", (), 2**60, "total", 2**31, 2**31)


def read_plainly() -> Usage | None:
    """Read counts that stand where every server writes them."""
    return plain_usage(REPLY, SPOKEN.plain_counts)


def read_at_once() -> Usage | None:
    """Read a document that is here as a whole."""
    watch = SPOKEN.new_watch(JSON)
    watch.feed_whole(REPLY)
    return watch.maybe_usage()


def read_as_it_comes() -> Usage | None:
    """Read a document that might go on."""
    watch = SPOKEN.new_watch(JSON)
    watch.feed(REPLY)
    return watch.maybe_usage()


def charge(key: Key) -> None:
    """Admit a request and settle it."""
    admitted = LEDGER.admit(key, 1000)
    assert isinstance(admitted, Charge)
    admitted.settle(49)


def main() -> None:
    """Print both tables."""
    rows = [("usage of a small answer", [read_plainly, read_at_once, read_as_it_comes])]
    print_table("metering, ns", ["plainly", "at once", "as it comes"], rows)
    print_table(
        "charging, ns", ["no limits", "all limits"], [("one request", [lambda: charge(FREE), lambda: charge(CAPPED)])]
    )


if __name__ == "__main__":
    main()
