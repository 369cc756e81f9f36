"""The Messages dialect of Anthropic."""

from busbar_fast.dialects.anthropic.requests import DIALECT

__all__ = ["DIALECT"]
