"""Two parsers behind one small interface, and the choice between them."""

from busbar_fast.wire.parsers.choice import HeadParser, choose_parser

__all__ = ["HeadParser", "choose_parser"]
