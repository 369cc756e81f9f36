"""`governance`: virtual keys, budgets, rates, and where they are stored."""

from busbar_fast.config.inputs import absolute
from busbar_fast.config.reading import I64, U32, Section
from busbar_fast.config.schema import NONE, Engine, Governance, Secret
from busbar_fast.config.sections.doors import read_listen
from busbar_fast.config.sections.references import not_blank, read_secret
from busbar_fast.config.tree import Scalar

MEMORY = ":memory:"  # in place of a path
MOST_CENTS = 10**9  # of a price; more would be a mistake


def read_governance(root: Section) -> Governance:
    """Return the rules of virtual keys."""
    with root.section("governance") as section:
        is_enabled = section.flag("enabled", default=False)
        section.put_off("store", "key_refresh_secs", "key_max_stale_secs")
        governance = Governance(
            enabled=is_enabled,
            db_path=_read_db_path(section),
            admin_token=_read_admin_token(section),
            admin_listen=read_listen(section, "admin_listen"),
            price_per_request_cents=_read_price(section, "price_per_request_cents", 1),
            price_per_1k_tokens_cents=_read_price(section, "price_per_1k_tokens_cents", 0),
            price_per_1m_tokens_cents=_read_price(section, "price_per_1m_tokens_cents", 0),
            budget_on_store_error=section.choice("budget_on_store_error", "allow", ("allow", "deny")),
            sqlite_busy_timeout_ms=section.integer("sqlite_busy_timeout_ms", 5000),
            rate_sweep_interval=section.integer("rate_sweep_interval", 256, 1, U32),
            usage_flush_interval_ms=section.integer("usage_flush_interval_ms", 100, 10, 5000),
            reserve_tokens=section.flag("reserve_tokens", default=False),
            on_disconnect=section.choice("on_disconnect", "observed", ("observed", "estimate")),
            secret_key_env=section.text("secret_key_env", "", not_blank),
            key_refresh_secs=section.integer("key_refresh_secs", 5, 1),
            key_max_stale_secs=section.integer("key_max_stale_secs", 300),
        )
        _check_prices(section, governance)
        return governance.with_(**_read_stores(section))


def _read_db_path(section: Section) -> str:
    path = section.text("db_path", "busbar-governance.db", not_blank)
    return path if path == MEMORY else absolute(path)


def _read_admin_token(section: Section) -> Secret:
    node = section.maybe_node("admin_token")
    if isinstance(node, Scalar) and not node.is_broken and not node.text.strip():
        return NONE  # as if missing: it is needed only when governance is on
    return read_secret(section, "admin_token", node, not_blank)


def _read_price(section: Section, name: str, default: int) -> int:
    price = section.integer(name, default, I64, MOST_CENTS)
    if price < 0:
        section.warn("W13", name, "a negative price is treated as 0")
        return 0
    return price


def _check_prices(section: Section, governance: Governance) -> None:
    if section.has("price_per_1k_tokens_cents") and section.has("price_per_1m_tokens_cents"):
        section.error("price_per_1m_tokens_cents", "not beside `price_per_1k_tokens_cents`; give one of them")
    if governance.enabled and governance.price_per_request_cents == 0:
        section.warn("W7", "price_per_request_cents", "with no price per request, budgets do not limit their number")


def _read_stores(section: Section) -> dict[str, Engine | None]:
    with section.section("store") as stores:
        keys = counters = None
        if (found := stores.maybe_section("keys")) is not None:
            with found as engine:
                keys = _read_engine(engine, ("sqlite", "postgres", "valkey"))
        if (found := stores.maybe_section("counters")) is not None:
            with found as engine:
                counters = _read_engine(engine, ("local", "valkey", "postgres")).with_(
                    mode=engine.choice("mode", "strict", ("strict", "lease")),
                    timeout_ms=engine.integer("timeout_ms", 50, 1),
                    on_engine_error=engine.choice("on_engine_error", "local", ("local", "allow", "deny")),
                )
        return {"keys_store": keys, "counters_store": counters}


def _read_engine(section: Section, kinds: tuple[str, ...]) -> Engine:
    section.need("kind")
    return Engine(
        kind=section.choice("kind", kinds[0], kinds),
        url=read_secret(section, "url", section.maybe_node("url"), not_blank),
    )
