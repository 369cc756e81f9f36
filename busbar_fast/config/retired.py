"""Keys of other schemas and names that are refused with the place where their subject is configured here."""

from busbar_fast.config.complaints import Path, dotted

_OTHER = "belongs to the 1.5 schema; "
_NOWHERE = _OTHER + "there is nothing like it here"
_POLICY = _OTHER + "use `route` and `policy` of a pool"
_AUTH = _OTHER + "use `auth.mode`, `auth.client_tokens` and `governance`"
_GOVERNANCE = _OTHER + "use `governance`"

_REASONS = {
    "groups": _GOVERNANCE,
    "rate_card": _GOVERNANCE,
    "per_request_fee": _GOVERNANCE,
    "store": _OTHER + "use `governance.store`",
    "identity-providers": _AUTH,
    "auth.token": "removed; list tokens in `auth.client_tokens`",
    "auth.chain": _AUTH,
    "auth.admin_auth": _AUTH,
    "auth.signing_key": _AUTH,
    "auth.key_ttl": _AUTH,
    "auth.role_bindings": _AUTH,
    "export": _OTHER + "use `observability`",
    "hooks": _POLICY,
    "global_hooks": _POLICY,
    "pools.*.hooks": _POLICY,
    "plugins": _NOWHERE,
    "secrets": _NOWHERE,
    "config": _NOWHERE,
    "public_url": _NOWHERE,
    "admin_tls": _NOWHERE,
    "admin_require_mtls": _NOWHERE,
    "limits.request_header_max_bytes": "unknown key; it is `limits.max_header_bytes` here",
    "limits.shutdown_drain_timeout_secs": "unknown key; it is `shutdown.drain_timeout_secs` here",
    "limits.max_keys_per_principal": _NOWHERE,
    "limits.max_auto_provisioned_groups": _NOWHERE,
    "providers.*.token_url": _NOWHERE,
    "providers.*.scope": _NOWHERE,
    "providers.*.subject": _NOWHERE,
}
AUTH_STYLES = ("jwt-bearer", "oauth-client-credentials")
HOOKS_LIST = _POLICY
CREDENTIALS_TEXT = _OTHER + "use `auth.mode: passthrough`"


def reason(path: Path) -> str:
    """Return why an unknown key is refused, if there is more to say than that nobody knows it."""
    exact = _REASONS.get(dotted(path))
    if exact is not None:
        return exact
    parts = [str(part) for part in path]
    return next((why for key, why in _REASONS.items() if "*" in key and _fits(key.split("."), parts)), "")


def _fits(key: list[str], parts: list[str]) -> bool:
    return len(key) == len(parts) and all(k in ("*", p) for k, p in zip(key, parts, strict=True))
