"""From the bytes of a request to the finished reply: the pure half of the mock backend.

`answer` finds the dialect by path, reads knobs and body, and lets the dialect's module under `replies/` speak. It
never raises for what a client sends: every refusal is an error in the dialect of the path. It holds no state and
knows no socket; the server half and the tests call it. Paths may carry any prefix, because providers mount these
operations below paths of their own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from re import Match, Pattern
from re import compile as pattern
from typing import Any, Final
from urllib.parse import unquote

import orjson

from busbar_fast.mock.ask import BadAsk, Place, read_form
from busbar_fast.mock.content import compose, estimate_tokens, fill_body
from busbar_fast.mock.replies import (
    anthropic,
    bedrock,
    cohere,
    gemini,
    models,
    openai_chat,
    openai_responses,
    pictures_and_sound,
    vectors,
)
from busbar_fast.mock.replies.voice import JSON_TYPE, Voice
from busbar_fast.mock.reply import Fault, Reply
from busbar_fast.mock.script import BadKnob, Script, parse_knobs

KNOB_HEADER: Final = b"x-mock"

_OK = 200
_BAD_REQUEST = 400
_NOT_FOUND = 404
_NOT_ALLOWED = 405
_UNAVAILABLE = 503
_COUNT_ACTIONS: Final = frozenset({"count_tokens", "countTokens", "count-tokens"})
_MAX_PIECES: Final = 1_000_000
_DEFAULT: Final = Script()


@dataclass(frozen=True, slots=True)
class _Visit:
    """One request that found its route."""

    voice: Voice
    place: Place
    headers: Mapping[bytes, bytes]
    document: Mapping[str, Any]
    script: Script


Operation = Callable[[_Visit], Reply]


@dataclass(frozen=True, slots=True)
class _Route:
    """One operation: the whole path it lives on, its only method, and the dialect of its errors."""

    path: Pattern[str]
    method: bytes
    voice: Voice
    operation: Operation


def answer(
    method: bytes, target: bytes, headers: Mapping[bytes, bytes], body: bytes, script: Script | None = None
) -> Reply:
    """Return the reply to a request; knobs in its `x-mock` header are laid over `script`."""
    base = script or _DEFAULT
    path, _, raw_query = target.decode("latin-1").partition("?")
    for route in _ROUTES:
        match = route.path.fullmatch(path)
        if match:
            break
    else:
        fault = Fault(_NOT_FOUND, f"Invalid URL ({method.decode('latin-1')} {path})")
        return _refuse(_claimed_by(path), fault, Place(), base)
    place = _place(match, raw_query)
    try:
        base = parse_knobs(headers.get(KNOB_HEADER, b""), base)
        if method != route.method:
            fault = Fault(_NOT_ALLOWED, f"Method not allowed; use {route.method.decode()}")
            return _refuse(route.voice, fault, place, base, b"Allow: %b\r\n" % route.method)
        if base.status is not None and base.fail_after is None:
            return _refuse(route.voice, _scripted_fault(base), place, base)
        document = {} if method == b"GET" else _read_document(body, headers.get(b"content-type", b""))
        return _check_split(route.operation(_Visit(route.voice, place, headers, document, base)))
    except orjson.JSONEncodeError:  # what is repeated from the request nests deeper than the encoder goes
        return _refuse(route.voice, Fault(_BAD_REQUEST, "The request nests too deep."), place, base)
    except BadAsk as error:
        return _refuse(route.voice, Fault(_BAD_REQUEST, str(error), param=error.param), place, base)
    except BadKnob as error:
        return _refuse(route.voice, Fault(_BAD_REQUEST, str(error), param=error.knob), place, base)


def _check_split(reply: Reply) -> Reply:
    """Refuse to cut a payload into more pieces than a schedule should hold."""
    split = reply.script.split
    if split is not None and sum(map(len, reply.frames)) > split * _MAX_PIECES:
        raise BadKnob("split", f"would make more than {_MAX_PIECES} pieces")
    return reply


def _place(match: Match[str], raw_query: str) -> Place:
    """Return the named parts of the path, decoded once, and the pairs of the query."""
    parts = match.groupdict()
    model = parts.get("model")
    pairs = (pair.partition("=") for pair in raw_query.split("&") if pair)
    query = {unquote(key): unquote(value) for key, _, value in pairs}
    return Place(None if model is None else unquote(model), parts.get("action") or "", query)


def _read_document(body: bytes, content_type: bytes) -> Mapping[str, Any]:
    if content_type.startswith(b"multipart/form-data"):
        return read_form(body, content_type)
    message = "We could not parse the JSON body of your request."
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadAsk(message) from error
    if not isinstance(document, dict):
        raise BadAsk(message)
    return document


def _converse(visit: _Visit) -> Reply:
    """Answer the chat operation of a dialect, or count its tokens where the path says so."""
    voice, script = visit.voice, visit.script
    ask = voice.read(visit.document, visit.place)
    if voice.encode_count is not None and visit.place.action in _COUNT_ACTIONS:
        tokens = estimate_tokens(ask.prompt) if script.usage_in is None else script.usage_in
        return _json(visit, voice.encode_count(tokens))
    if not ask.stream:
        if script.fail_after is not None:  # there is no stream that could fail half-way
            return _refuse(voice, _scripted_fault(script), visit.place, script)
        said = compose(script, ask)
        if script.body_bytes is None:
            return _json(visit, voice.encode_body(said))
        return _json(visit, fill_body(said, voice.encode_body, script.body_bytes))
    if script.body_bytes is not None:
        raise BadKnob("bytes", "sizes JSON answers, not streams")
    said = compose(script, ask)
    frames = voice.encode_stream(said)
    if script.fail_after is not None and script.fail_after < len(frames):
        sent = frames[: script.fail_after]
        frames = sent + voice.encode_break(said, _scripted_fault(script), sent)
    kind = JSON_TYPE if ask.as_array else voice.stream_type
    return Reply(_OK, kind + voice.answer_headers, frames, is_stream=True, script=script)


def _list_models(visit: _Visit) -> Reply:
    return _json(visit, models.encode_models(models.dialect_of(visit.headers)))


def _list_gemini_models(visit: _Visit) -> Reply:
    return _json(visit, models.encode_models("gemini"))


def _encoding(encode: Callable[[Mapping[str, Any]], bytes]) -> Operation:
    """Return the operation whose answer depends on the request's document alone."""
    return lambda visit: _json(visit, encode(visit.document))


def _gemini_embed(visit: _Visit) -> Reply:
    return _json(visit, vectors.encode_gemini_embeddings(visit.document, visit.place))


def _invoke(visit: _Visit) -> Reply:
    body, tokens = vectors.encode_bedrock_embeddings(visit.document, visit.place)
    head = JSON_TYPE + visit.voice.answer_headers + b"x-amzn-bedrock-input-token-count: %d\r\n" % tokens
    return Reply(_OK, head, [body], is_stream=False, script=visit.script)


def _speak(visit: _Visit) -> Reply:
    kind, frames = pictures_and_sound.encode_speech(visit.document)
    return Reply(_OK, kind + visit.voice.answer_headers, frames, is_stream=True, script=visit.script)


def _json(visit: _Visit, body: bytes) -> Reply:
    headers = JSON_TYPE + visit.voice.answer_headers
    return Reply(_OK, headers, [body], is_stream=False, script=visit.script)


def _refuse(voice: Voice, fault: Fault, place: Place, script: Script, extra_headers: bytes = b"") -> Reply:
    """Return an error in the dialect's own shape."""
    headers = JSON_TYPE + voice.fault_headers(fault) + extra_headers
    if fault.retry_after_s is not None:
        headers += b"Retry-After: %d\r\n" % fault.retry_after_s
    return Reply(fault.status, headers, [voice.encode_fault(fault, place)], is_stream=False, script=script)


def _scripted_fault(script: Script) -> Fault:
    status = _UNAVAILABLE if script.status is None else script.status
    message = script.error or f"The mock backend was told to fail with {status}."
    return Fault(
        status,
        message,
        code=script.error_code,
        retry_after_s=script.retry_after_s,
        should_retry=script.should_retry,
    )


def _claimed_by(path: str) -> Voice:
    """Return the dialect whose errors an unknown path gets."""
    for claim, voice in _CLAIMS:
        if claim.match(path):
            return voice
    return openai_chat.VOICE


_PREFIX = r"(?:/[^/]+)*?"
# The first such segment decides, or a long path of nothing else would be tried at each of them.
_TO_MODELS = r"(?:/(?!(?:tunedM|m)odels/)[^/]+)*/(?:tunedM|m)odels/"
_GEMINI_ACTIONS = r"(?P<action>generateContent|streamGenerateContent|countTokens)"

_ROUTES: Final = tuple(
    _Route(pattern(path), method, voice, operation)
    for path, method, voice, operation in (
        (
            _PREFIX + r"(?:/deployments/(?P<model>[^/]+))?/chat/completions",
            b"POST",
            openai_chat.VOICE,
            _converse,
        ),
        (_PREFIX + r"/responses", b"POST", openai_responses.VOICE, _converse),
        (_PREFIX + r"/messages(?:/(?P<action>count_tokens))?", b"POST", anthropic.VOICE, _converse),
        (_TO_MODELS + r"(?P<model>.+):" + _GEMINI_ACTIONS, b"POST", gemini.VOICE, _converse),
        (
            r"/model/(?P<model>[^/]+)/(?P<action>converse|converse-stream|count-tokens)",
            b"POST",
            bedrock.VOICE,
            _converse,
        ),
        (r"/model/(?P<model>[^/]*(?:titan-embed|cohere\.embed)[^/]*)/invoke", b"POST", bedrock.VOICE, _invoke),
        (_PREFIX + r"/v2/chat", b"POST", cohere.VOICE, _converse),
        (_PREFIX + r"/embeddings", b"POST", openai_chat.VOICE, _encoding(vectors.encode_openai_embeddings)),
        (_PREFIX + r"/moderations", b"POST", openai_chat.VOICE, _encoding(pictures_and_sound.encode_moderation)),
        (
            _PREFIX + r"/images/(?P<action>generations|edits|variations)",
            b"POST",
            openai_chat.VOICE,
            _encoding(pictures_and_sound.encode_images),
        ),
        (
            _PREFIX + r"/audio/(?P<action>transcriptions|translations)",
            b"POST",
            openai_chat.VOICE,
            _encoding(pictures_and_sound.encode_transcription),
        ),
        (_PREFIX + r"/audio/speech", b"POST", openai_chat.VOICE, _speak),
        (
            _TO_MODELS + r"(?P<model>.+):(?P<action>embedContent|batchEmbedContents)",
            b"POST",
            gemini.VOICE,
            _gemini_embed,
        ),
        (_PREFIX + r"/v2/embed", b"POST", cohere.VOICE, _encoding(vectors.encode_cohere_embed)),
        (_PREFIX + r"/v2/rerank", b"POST", cohere.VOICE, _encoding(vectors.encode_cohere_rerank)),
        (r"/v1beta/models", b"GET", gemini.VOICE, _list_gemini_models),
        (_PREFIX + r"/models", b"GET", openai_chat.VOICE, _list_models),
    )
)

_CLAIMS: Final = (
    (pattern(r"/model/"), bedrock.VOICE),
    (pattern(r"/v1beta/|/v1/models/[^/]+:"), gemini.VOICE),
    (pattern(r"/v2/|/v1/chat$"), cohere.VOICE),
    (pattern(r".*/messages(?:/|$)"), anthropic.VOICE),
)
