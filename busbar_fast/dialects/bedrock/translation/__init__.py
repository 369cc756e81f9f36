"""Translates the Converse dialect from and to the neutral model."""

from busbar_fast.dialects.bedrock.translation.translator import TRANSLATOR

__all__ = ["TRANSLATOR"]
