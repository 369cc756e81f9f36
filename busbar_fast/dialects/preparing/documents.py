"""Documents that an answer is to rest on, where they have no place of their own: they stand before the question."""

from msgspec import structs

from busbar_fast.dialects.preparing.blocks import behind_results
from busbar_fast.dialects.translator import Abilities
from busbar_fast.ir.blocks import AnyBlock, Media, MediaKind, Plain, Text
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import Document, Message, Request, Role


def with_fitting_documents(request: Request, target: Abilities, report: Report) -> Request:
    """Return a request whose documents are in the last turn of the user, unless the target has a place for them."""
    documents = request.documents
    if not documents or target.takes_documents:
        return request
    report.mapped("documents")
    blocks: list[AnyBlock] = []
    if target.takes_text_documents:
        blocks += [_file(document) for document in documents]
    else:
        blocks.append(Text("\n".join(("Documents:", *map(_listed, documents)))))
    messages = list(request.messages)
    at = max((at for at, message in enumerate(messages) if message.role is Role.USER), default=None)
    if at is None:
        messages.insert(0, Message(Role.USER, blocks))
    else:
        asked = messages[at].blocks
        behind = behind_results(asked)
        messages[at] = structs.replace(messages[at], blocks=asked[:behind] + blocks + asked[behind:])
    return structs.replace(request, messages=messages, documents=[])


def _file(document: Document) -> Media:
    name = document.title or document.id
    return Media(MediaKind.DOCUMENT, Plain(_content(document)), "text/plain", name, is_cited=document.is_cited)


def _listed(document: Document) -> str:
    """Return a document as lines of a list: which it is, what it says."""
    title = "" if document.content else document.title  # an object says it itself
    head = " ".join(part for part in (document.id, title) if part)
    return "\n".join(part for part in (head, _content(document)) if part)


def _content(document: Document) -> str:
    return document.text or bytes(document.content).decode()
