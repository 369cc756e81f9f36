"""busbar-fast: an LLM gateway. Importing this package does nothing; it only names the version."""

__version__ = "0.1.0"
