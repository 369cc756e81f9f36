"""What the vendor calls the types of files, and how it wants documents to be named."""

import re
from typing import Final

from busbar_fast.ir.blocks import MediaKind

_OFFICE: Final = "application/vnd.openxmlformats-officedocument"
FORMATS: Final = {
    MediaKind.IMAGE: {"png": "image/png", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp"},
    MediaKind.DOCUMENT: {
        "pdf": "application/pdf",
        "csv": "text/csv",
        "doc": "application/msword",
        "docx": f"{_OFFICE}.wordprocessingml.document",
        "xls": "application/vnd.ms-excel",
        "xlsx": f"{_OFFICE}.spreadsheetml.sheet",
        "html": "text/html",
        "txt": "text/plain",
        "md": "text/markdown",
    },
    MediaKind.VIDEO: {
        "mp4": "video/mp4",
        "mov": "video/quicktime",
        "mkv": "video/x-matroska",
        "webm": "video/webm",
        "flv": "video/x-flv",
        "mpeg": "video/mpeg",
        "wmv": "video/x-ms-wmv",
        "three_gp": "video/3gpp",
    },
    MediaKind.AUDIO: {
        "mp3": "audio/mpeg",
        "wav": "audio/wav",
        "flac": "audio/flac",
        "ogg": "audio/ogg",
        "opus": "audio/opus",
        "aac": "audio/aac",
        "m4a": "audio/mp4",
        "webm": "audio/webm",
    },
}
MEMBERS: Final = {
    MediaKind.IMAGE: "image",
    MediaKind.DOCUMENT: "document",
    MediaKind.VIDEO: "video",
    MediaKind.AUDIO: "audio",
}
_BY_TYPE: Final = {kind: {mime: word for word, mime in words.items()} for kind, words in FORMATS.items()}
_SYNONYMS: Final = {"image/jpg": "jpeg", "audio/mp3": "mp3", "audio/x-wav": "wav", "": "pdf"}
_LONGEST: Final = 200
_find_unnameable: Final = re.compile(r"[^A-Za-z0-9()\[\] -]+").sub
_find_blanks: Final = re.compile(r" {2,}").sub


def mime_of(kind: MediaKind, word: str) -> str:
    """Return the type of a file in this format, empty if it is not known."""
    return FORMATS[kind].get("jpeg" if word == "jpg" else word, "")


def format_of(kind: MediaKind, mime: str) -> str | None:
    """Return the format of a file of this type, None if the vendor has none."""
    synonym = _SYNONYMS.get(mime)
    return _BY_TYPE[kind].get(mime) or (synonym if synonym in FORMATS[kind] else None)


class Names:
    """Names of the documents of one request: plain characters, each only once."""

    __slots__ = ("_taken",)

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def next(self, title: str) -> str:
        """Return a name for the next document, like its title as far as that may be."""
        plain = _find_blanks(" ", _find_unnameable(" ", title)).strip()[: _LONGEST - 5].strip()
        number, name = len(self._taken) + 1, plain
        if not plain or plain in self._taken:
            name = f"{plain or 'document'}-{number}"
        self._taken.add(name)
        return name
