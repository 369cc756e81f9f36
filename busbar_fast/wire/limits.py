"""The limits of one listener, as plain numbers with the product's defaults.

Fields follow the keys of the configuration's `limits` block, times in seconds; zero means "off" where the manual says
so.
This module knows nothing of how a limit is enforced.
"""

from dataclasses import dataclass
from typing import Final

BODY_FLOOR_BYTES_PER_S: Final = 1024
BODY_GRACE_S: Final = 10.0
LINGER_BYTES: Final = 65536
LINGER_S: Final = 2.0
MAX_TRAILERS: Final = 32
MAX_CHUNK_EXTENSION_BYTES: Final = 4096
HIGH_WATER_BYTES: Final = 65536
LOW_WATER_BYTES: Final = 16384


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may cost us; checked by the configuration loader, trusted here."""

    request_body_max_bytes: int = 32 * 1024 * 1024
    max_header_bytes: int = 65536
    max_request_line_bytes: int = 16384
    max_headers: int = 100
    header_read_timeout_s: float = 30.0
    request_body_read_timeout_s: float = 30.0
    keepalive_idle_timeout_s: float = 75.0
    write_stall_timeout_s: float = 60.0
    tls_handshake_timeout_s: float = 10.0
    max_pipelined_requests: int = 16
    max_inbound_concurrent: int = 0
    inbound_queue_max_s: float = 10.0
    max_requests_per_connection: int = 0
    max_connection_age_s: float = 0.0
    max_connections: int = 0
    max_connections_per_ip: int = 0


@dataclass(frozen=True, slots=True)
class UpstreamLimits:
    """What we allow an upstream, and how many idle connections we keep to one."""

    connect_timeout_s: float = 10.0
    idle_timeout_s: float = 90.0
    max_idle_per_origin: int = 64
    max_header_bytes: int = 65536
    max_headers: int = 200
    max_error_body_bytes: int = 256 * 1024
