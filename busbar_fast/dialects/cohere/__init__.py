"""The v2 chat dialect of Cohere."""

from busbar_fast.dialects.cohere.requests import DIALECT

__all__ = ["DIALECT"]
