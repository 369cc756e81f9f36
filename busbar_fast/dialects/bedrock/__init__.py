"""The Bedrock dialect: Converse, ConverseStream and the counting of tokens."""

from busbar_fast.dialects.bedrock.requests import DIALECT

__all__ = ["DIALECT"]
