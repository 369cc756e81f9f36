"""The Gemini dialect to and from neutral records."""

from busbar_fast.dialects.gemini.translation.translator import TRANSLATOR

__all__ = ["TRANSLATOR"]
