"""Translates the Chat dialect from and to the neutral model."""

from busbar_fast.dialects.cohere.translation.translator import TRANSLATOR

__all__ = ["TRANSLATOR"]
