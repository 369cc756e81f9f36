"""The rows of the report; each module measures one kind and yields figures."""

from perf.rows import cpu, crowd, latency, memory, payload, start

__all__ = ["cpu", "crowd", "latency", "memory", "payload", "start"]
