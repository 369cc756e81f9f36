"""Translates the Chat Completions dialect from and to the neutral model."""

from busbar_fast.dialects.openai_chat.translation.translator import TRANSLATOR

__all__ = ["TRANSLATOR"]
