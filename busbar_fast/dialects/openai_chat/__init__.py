"""The OpenAI chat dialect, which also speaks for paths that no dialect claims."""

from busbar_fast.dialects.openai_chat.requests import DIALECT

__all__ = ["DIALECT"]
