"""The Gemini dialect: generateContent, its stream in two forms, and its lists."""

from busbar_fast.dialects.gemini.requests import DIALECT

__all__ = ["DIALECT"]
