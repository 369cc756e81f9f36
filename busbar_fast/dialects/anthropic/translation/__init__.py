"""Translates the Messages dialect from and to the neutral model."""

from busbar_fast.dialects.anthropic.translation.translator import TRANSLATOR

__all__ = ["TRANSLATOR"]
