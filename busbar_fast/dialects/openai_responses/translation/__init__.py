"""Translates the Responses dialect from and to the neutral model."""

from busbar_fast.dialects.openai_responses.translation.translator import TRANSLATOR

__all__ = ["TRANSLATOR"]
