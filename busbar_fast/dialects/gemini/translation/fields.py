"""Objects of this wire. Names come in two spellings, and one object may stand where a list is meant.

The vendor's front end takes `inlineData` and `inline_data` alike, and its SDK mixes them. Only names that the vendor
gives are turned to the one spelling; what users name, in arguments and schemas, is never looked into.
"""

import re
from collections.abc import Mapping
from typing import Final

from msgspec import DecodeError, Raw
from msgspec.json import Decoder

from busbar_fast.dialects.members import Members, integer_of, is_object, read_typed, text_of
from busbar_fast.errors import Misshapen

NULL: Final = Raw(b"null")

_OBJECT: Final = Decoder(dict[str, Raw])
_decode_object: Final = _OBJECT.decode
_decode_list: Final = Decoder(list[Raw]).decode

_NAMES: Final = """
    systemInstruction toolConfig generationConfig safetySettings cachedContent serviceTier continuationToken
    modelArmorConfig
    inlineData fileData functionCall functionResponse executableCode codeExecutionResult toolCall toolResponse
    thoughtSignature videoMetadata mediaResolution partMetadata speechMetadata audioTranscription mediaProcessing
    mimeType displayName fileUri partialArgs willContinue
    functionDeclarations googleSearch googleSearchRetrieval codeExecution urlContext fileSearch googleMaps computerUse
    mcpServers enterpriseWebSearch excludeDomains parametersJsonSchema responseJsonSchema
    functionCallingConfig retrievalConfig includeServerSideToolInvocations allowedFunctionNames
    streamFunctionCallArguments
    maxOutputTokens topP topK stopSequences candidateCount presencePenalty frequencyPenalty responseMimeType
    responseSchema responseLogprobs thinkingConfig thinkingBudget thinkingLevel includeThoughts responseModalities
    speechConfig imageConfig audioTimestamp routingConfig modelSelectionConfig enableEnhancedCivicAnswers
    enableAffectiveDialog audioTranscriptionConfig translationConfig responseFormat
    embedContentConfig taskType outputDimensionality autoTruncate
"""
_CAMEL: Final = {
    snake: name
    for name in _NAMES.split()
    if (snake := re.sub("[A-Z]", lambda hump: f"_{hump[0].lower()}", name)) != name
}


class Fields(Members):
    """One object of the vendor's making."""

    __slots__ = ()

    def __init__(self, members: dict[str, Raw], path: str = "") -> None:
        super().__init__(_in_camel_case(members), path)

    def inner(self, name: str) -> "Fields | None":
        """Take an object apart. Raise Misshapen if it is something else."""
        raw = self.raw(name)
        return fields_of(raw, self.place(name)) if raw else None

    def items(self, name: str) -> list[Raw]:
        """Take the items of a list, or a single object. Raise Misshapen if it is something else."""
        items = items_of(self.raw(name))
        if items is None:
            raise self.wrong(name, "must be a list of objects")
        return items

    def several(self, name: str) -> "list[Fields]":
        """Take the objects of a list, or a single one. Raise Misshapen if there is something else."""
        place = self.place(name)
        return [fields_of(item, f"{place}[{at}]") for at, item in enumerate(self.items(name))]

    def texts(self, name: str) -> list[str]:
        """Take the texts of a list, or a single one; what is no text or empty is left out."""
        raw = self.raw(name)
        alone = text_of(raw) if raw else None
        found = [text_of(item) for item in items_of(raw) or ()] if alone is None else [alone]
        return [text for text in found if text]

    def word(self, name: str, by_number: Mapping[int, str]) -> str:
        """Take a member of an enum, which may be given by its number; empty if it is neither."""
        raw = self.raw(name)
        if not raw:
            return ""
        number = integer_of(raw)
        return text_of(raw) or "" if number is None else by_number.get(number, "")


def read_fields(document: bytes) -> Fields:
    """Take a document apart. Raise NotJson, TooDeep, or Misshapen if it is no object."""
    return Fields(read_typed(_OBJECT, document))


def fields_of(raw: Raw, place: str = "") -> Fields:
    """Take a raw object apart. Raise Misshapen if it is something else."""
    return Fields(decoded(raw, place), place)


def decoded(raw: Raw, place: str = "") -> dict[str, Raw]:
    """Return the members of an object whose names are users' own. Raise Misshapen if it is something else."""
    try:
        return _decode_object(raw)
    except DecodeError as error:
        raise Misshapen(place, "must be an object") from error


def fields_in(raw: Raw) -> Fields:
    """Take a raw object apart that may as well be something else: it then has no members."""
    return fields_of(raw) if raw and is_object(raw) else Fields({})


def items_of(raw: Raw) -> list[Raw] | None:
    """Return the items of a raw list, or a single object as the only one; None if it is something else."""
    if not raw:
        return []
    if is_object(raw):
        return [raw]
    try:
        return _decode_list(raw)
    except DecodeError:
        return None


def _in_camel_case(members: dict[str, Raw]) -> dict[str, Raw]:
    """Return members by the one spelling, where both are given it wins; null is as good as absent."""
    said = {name: raw for name, raw in members.items() if raw != NULL}
    if said.keys().isdisjoint(_CAMEL):
        return said
    return {_CAMEL.get(name, name): raw for name, raw in said.items()} | {
        name: raw for name, raw in said.items() if name not in _CAMEL
    }
