"""How clients reach the gateway and how it lets them go: `listen`, `tls`, `auth`, `server`, `shutdown`."""

import re
from collections.abc import Mapping

from busbar_fast.config.guards.addresses import read_ipv6
from busbar_fast.config.reading import Section
from busbar_fast.config.schema import NONE, Auth, Listen, Secret, Server, Shutdown, Tls
from busbar_fast.config.sections.references import complaint_of_token, not_blank, read_reference, read_secret, source_of
from busbar_fast.config.tree import Entries
from busbar_fast.config.variables import has_control

_MODES = ("token", "passthrough", "none")
_ADDRESS = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:\[\]/@]+)):([0-9]{1,5})")
_HIGHEST_PORT = 65535
_PEM = "-----BEGIN"


def read_listen(section: Section, name: str) -> Listen | None:
    """Return an address, None if it is missing or wrong."""
    text = section.maybe_text(name)
    if text is None:
        return None
    match = _ADDRESS.fullmatch(text)
    if match is None or has_control(text) or (match[1] and read_ipv6(match[1].lower()) is None):
        section.error(name, "must be host:port, an IPv6 address in brackets", text)
        return None
    port = int(match[3])
    if port > _HIGHEST_PORT:
        section.error(name, f"the port must be from 0 to {_HIGHEST_PORT}", text)
        return None
    return Listen(host=match[1] or match[2], port=port)


def read_tls(root: Section) -> Tls | None:
    """Return where the TLS material comes from, None without a `tls` block."""
    found = root.maybe_section("tls")
    if found is None:
        return None
    with found as section:
        return Tls(
            cert=_material(section, "cert", is_required=True),
            key=_material(section, "key", is_required=True),
            client_ca=_material(section, "client_ca", is_required=False),
            reload_interval_secs=section.integer("reload_interval_secs", 0),
        )


def _material(section: Section, name: str, *, is_required: bool) -> Secret:
    """Return a PEM source: `NAME_file: PATH`, or `NAME: {file: PATH}` or `{env: VARIABLE}`."""
    name = section.alias(f"{name}_file", name)
    if not section.has(name):
        if is_required:
            section.error(name, "required, and missing")
        return NONE
    if name.endswith("_file"):
        path = section.maybe_text(name, _complaint_of_path, is_secret=_PEM in section.written(name))
        return NONE if path is None else source_of("file", path)
    node = section.maybe_node(name)
    if not isinstance(node, Entries):
        section.error(name, "must be a map with `file` or `env`")
        return NONE
    return read_reference(section, (*section.path, name), node, ("file", "env"))


def _complaint_of_path(path: str) -> str:
    """Refuse what is no path; a key that was pasted in its place must not be shown."""
    return "must be the path of a file, not what it holds" if _PEM in path else not_blank(path)


def read_auth(root: Section) -> Auth:
    """Return who may call."""
    with root.section("auth") as section:
        listed = section.within("client_tokens", None)
        tokens = [
            read_secret(listed, number, node, complaint_of_token)
            for number, node in enumerate(section.items("client_tokens"))
        ]
        mode = section.maybe_text("mode")
        if mode is not None and mode.strip().lower() not in _MODES:
            section.error("mode", f"must be one of {', '.join(_MODES)}", mode)
            mode = None
        return Auth(mode="none" if mode is None else mode.strip().lower(), client_tokens=tuple(tokens))


def read_server(root: Section) -> Server:
    """Return how connections reach the process."""
    with root.section("server") as section:
        workers = section.integer("workers", 1, 1)
        if workers > 1:
            section.error("workers", "more than one process is not available yet", str(workers))
        protocol = section.choice("proxy_protocol", "off", ("off", "v1", "v2"))
        proxies = section.texts("trusted_proxies", _complaint_of_network)
        if protocol == "off" and proxies:
            section.warn("W21", "trusted_proxies", "no effect without `proxy_protocol`")
        if protocol != "off" and not proxies:
            section.warn("W28", "proxy_protocol", "without `trusted_proxies` whoever connects may claim any address")
        return Server(
            workers=workers,
            reuse_port=section.flag("reuse_port", default=False),
            proxy_protocol=protocol,
            trusted_proxies=proxies,
        )


def _complaint_of_network(text: str) -> str:
    """Say what is wrong with an address or a network in CIDR notation."""
    import ipaddress  # noqa: PLC0415  5 ms of import, for the few who are behind such a proxy

    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        return f"must be an IP address or a network in CIDR notation ({error})"
    return ""


def read_shutdown(root: Section) -> Shutdown:
    """Return how the process ends."""
    with root.section("shutdown") as section:
        return Shutdown(
            drain_timeout_secs=section.integer("drain_timeout_secs", 300),
            readiness_delay_secs=section.integer("readiness_delay_secs", 0),
        )


def read_dialect(root: Section, name: str, settings: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Return the settings that a dialect has for the whole gateway; the first word of each is its default."""
    with root.section(name) as section:
        return {setting: section.choice(setting, words[0], words) for setting, words in settings.items()}
