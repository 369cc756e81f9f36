"""Files: bytes in base64, places in the web, and what lies with the vendor."""

from base64 import b64decode, b64encode
from binascii import Error
from typing import Final

from msgspec import Raw

from busbar_fast.dialects.file_urls import read_url
from busbar_fast.dialects.gemini.translation.abilities import NAME
from busbar_fast.dialects.gemini.translation.carrying import packed, unpacked
from busbar_fast.dialects.gemini.translation.fields import Fields
from busbar_fast.ir.blocks import Held, Inline, Media, MediaKind, Plain, Url

_TO_STANDARD: Final = str.maketrans("-_", "+/", "= \t\r\n")
_KINDS: Final = {"image": MediaKind.IMAGE, "audio": MediaKind.AUDIO, "video": MediaKind.VIDEO}
_PLAIN: Final = "text/"

# For files whose type nobody said: by the end of the name, else what most files of that kind are.
_TYPES: Final = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "heic": "image/heic",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "html": "text/html",
    "csv": "text/csv",
    "mp3": "audio/mp3",
    "wav": "audio/wav",
    "mp4": "video/mp4",
    "webm": "video/webm",
}
_USUAL: Final = {
    MediaKind.IMAGE: "image/jpeg",
    MediaKind.DOCUMENT: "application/pdf",
    MediaKind.AUDIO: "audio/wav",
    MediaKind.VIDEO: "video/mp4",
}
_WEB: Final[tuple[str, ...]] = ("http://", "https://")
_VENDOR: Final = "https://generativelanguage.googleapis.com/"


def read_inline(inline: Fields) -> Media:
    """Return bytes that stand in the part itself. Raise Misshapen if there are none."""
    mime = inline.text("mimeType")
    encoded = _standard(inline.text("data"))
    name = inline.text("displayName")
    kind = kind_of(mime)
    text = _maybe_plain(encoded) if mime.startswith(_PLAIN) else None
    return Media(
        kind=kind,
        source=Inline(encoded) if text is None else Plain(text),
        mime=mime,
        name=name,
        ext=packed(inline.rest(), "inlineData") or None,
    )


def read_file(raw: Raw, file: Fields) -> Media:
    """Return a file that lies elsewhere; `raw` is the whole of what names it."""
    uri = file.text("fileUri")
    mime = file.text("mimeType")
    name = file.text("displayName")
    source, said = read_url(uri)
    if isinstance(source, Inline):
        mime = mime or said
        return Media(kind=kind_of(mime), source=Inline(_standard(source.base64)), mime=mime, name=name)
    kind = kind_of(mime or _type_by_name(uri) or "image/")
    if not uri.startswith(_WEB) or uri.startswith(_VENDOR):
        return Media(kind=kind, source=Held(NAME, raw), mime=mime, name=name)
    return Media(kind=kind, source=source, mime=mime, name=name, ext=packed(file.rest(), "fileData") or None)


def media_member(media: Media, *, with_name: bool) -> tuple[str, object]:
    """Return the member of a part that is this file, and its name; only some upstreams take names of files."""
    source = media.source
    if isinstance(source, Held):
        return "fileData", source.raw
    if isinstance(source, Url):
        mime = media.mime or _type_by_name(source.url) or _USUAL[media.kind]
        said, member = {"fileUri": source.url, "mimeType": mime}, "fileData"
    elif isinstance(source, Inline):
        said, member = {"mimeType": media.mime or _USUAL[media.kind], "data": source.base64}, "inlineData"
    else:
        encoded = b64encode(source.text.encode()).decode()
        said, member = {"mimeType": media.mime or "text/plain", "data": encoded}, "inlineData"
    if media.name and with_name:
        said["displayName"] = media.name
    return member, said | unpacked(media.ext, member)


def kind_of(mime: str) -> MediaKind:
    """Return what kind of a file this type makes; documents are what is nothing else."""
    return _KINDS.get(mime.lower().partition("/")[0], MediaKind.DOCUMENT)


def _standard(encoded: str) -> str:
    """Return base64 of either alphabet in the standard one, with padding."""
    plain = encoded.translate(_TO_STANDARD)
    return plain + "=" * (-len(plain) % 4)


def _maybe_plain(encoded: str) -> str | None:
    """Return a text that was encoded; None if it is no UTF-8, or no base64."""
    try:
        return b64decode(encoded, validate=True).decode()
    except (Error, UnicodeDecodeError):
        return None


def _type_by_name(uri: str) -> str:
    return _TYPES.get(uri.partition("?")[0].rpartition(".")[2].lower(), "")
