"""The rows of the report; each module measures one kind and yields figures."""

from perf.rows import cpu, latency, memory, start

__all__ = ["cpu", "latency", "memory", "start"]
