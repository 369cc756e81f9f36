"""The OpenAI Responses dialect."""

from busbar_fast.dialects.openai_responses.requests import DIALECT

__all__ = ["DIALECT"]
