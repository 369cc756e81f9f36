"""What lies between a reader of one dialect and a writer of another: everything that the other has no place for."""

from busbar_fast.dialects.preparing.answers import prepare_answer
from busbar_fast.dialects.preparing.requests import prepare_request

__all__ = ["prepare_answer", "prepare_request"]
