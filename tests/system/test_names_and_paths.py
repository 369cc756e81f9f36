"""Names and paths that lead to somebody, to nobody, or to somebody else, and bodies that say nothing."""

import json
from pathlib import Path

import pytest

from tests.system.doors import BY_NAME, DOORS, TELLING, Door, chunked, read, six_doors
from tests.system.serving import chunked_head, post

CLOSE = b"Connection: close"
EVERY_DOOR = pytest.mark.parametrize("door", DOORS, ids=[door.name for door in DOORS])
OPENAI, ANTHROPIC, BEDROCK = (BY_NAME[name] for name in ("openai", "anthropic", "bedrock"))

MISSING = {
    "openai": ("error", "type", "not_found_error"),
    "responses": ("error", "type", "not_found_error"),
    "anthropic": ("error", "type", "not_found_error"),
    "gemini": ("error", "status", "NOT_FOUND"),
    "bedrock": ("__type", "", "ResourceNotFoundException"),
}


def check_missing(seen_body: bytes, door: str) -> None:
    """A body says in this dialect that something is not there."""
    document = json.loads(seen_body)
    if door == "cohere":
        assert list(document) == ["message"]
        return
    outer, inner, word = MISSING[door]
    assert (document[outer][inner] if inner else document[outer]) == word


@EVERY_DOOR
@pytest.mark.parametrize("name", [b"nobody", b"OPENAI-M", b"openai-m ", "modèle".encode(), b"vendor-m", b"admin"])
async def test_unknown_name_is_not_found(tmp_path: Path, door: Door, name: bytes) -> None:
    """Reliability case 2: each dialect says so in its own words, names what was asked, and nobody is called."""
    quoted = b"".join(b"%%%02X" % byte for byte in name)
    async with six_doors(tmp_path) as house:
        target = door.target.replace(door.model, quoted)
        seen = await house.ask(door, body=door.body.replace(b"%b", name), target=target)
        assert seen.status == 404
        check_missing(seen.body, door.name)
        assert name in seen.body
        assert house.keeper.heads == []


PATHS = [
    (b"/nowhere", "openai"),
    (b"/v1/chat/completions/", "openai"),
    (b"/v1/chat/completions/x", "openai"),
    (b"/V1/chat/completions", "openai"),
    (b"/v1//chat/completions", "openai"),
    (b"/v1/./chat/completions", "openai"),
    (b"/v1/x/../chat/completions", "openai"),
    (b"/v1/chat%2Fcompletions", "openai"),
    (b"/v1/models/ft:a:b::c", "openai"),
    (b"/v1/models/ft:a:b::c:d", "openai"),
    (b"/v1/models/openai-m:generatecontent", "openai"),
    (b"/v1/responses/resp_1", "responses"),
    (b"/v1/messages/batches", "anthropic"),
    (b"/a/b/c/v1/messages", "anthropic"),
    (b"//v1/messages", "anthropic"),
    (b"/v1beta/models/x", "gemini"),
    (b"/v1beta/models/x:", "gemini"),
    (b"/v1beta/models/:generateContent", "gemini"),
    (b"/v1beta/models/x:predictLongRunning", "gemini"),
    (b"/v1/models/x:generateAnswer", "gemini"),
    (b"/v1beta/models/x:batchGenerateContent", "gemini"),
    (b"/v1beta/cachedContents", "gemini"),
    (b"/model/x/invoke", "bedrock"),
    (b"/model/x", "bedrock"),
    (b"/model//converse", "bedrock"),
    (b"/model/a/b/converse", "bedrock"),
    (b"/v2/embed/", "cohere"),
    (b"/v1/embed", "cohere"),
    (b"/v2/chat/", "cohere"),
    (b"/v1/chat", "cohere"),
]


@pytest.mark.parametrize(("path", "door"), PATHS)
async def test_path_of_nobody_is_not_found(tmp_path: Path, path: bytes, door: str) -> None:
    """Reliability cases 2 and 6: nothing is normalised, and who asks for what is not there hears it from his vendor."""
    async with six_doors(tmp_path) as house:
        seen = read(await house.say(post(b"{}", CLOSE, target=path)))
        assert seen.status == 404
        assert "allow" not in seen.names
        check_missing(seen.body, door)
        assert not TELLING.search(seen.body.replace(path, b""))
        assert house.keeper.heads == []


AD_HOC = [
    (b"/v1/messages", b"anthropic-p", 200),
    (b"/v1/messages", b"anthropic/anthropic-m", 200),
    (b"/anthropic-p/v1/messages", b"ignored", 200),
    (b"/anthropic/anthropic-m/v1/messages", b"ignored", 200),
    (b"/%61nthropic/anthropic%2Dm/v1/messages", b"ignored", 200),
    (b"/cohere/anthropic-m/v1/messages", b"ignored", 400),
    (b"/nobody/anthropic-m/v1/messages", b"ignored", 400),
    (b"/anthropic/nobody/v1/messages", b"ignored", 404),
    (b"/anthropic/anthropic-p/v1/messages", b"ignored", 404),
    (b"/anthropic%2Fanthropic-m/v1/messages", b"ignored", 200),
    (b"/anthropic/%2Fanthropic-m/v1/messages", b"ignored", 404),
    (b"/v1/messages", b"cohere/anthropic-m", 400),
    (b"/v1/messages", b"nobody/anthropic-m", 400),
    (b"/v1/messages", b"anthropic/nobody", 404),
    (b"/v1/messages", b"anthropic/", 404),
    (b"/v1/messages", b"/anthropic-m", 400),
    (b"/v1/messages", b"a/b/anthropic-m", 404),
]


@pytest.mark.parametrize(("path", "name", "status"), AD_HOC)
async def test_provider_may_stand_before_a_model(tmp_path: Path, path: bytes, name: bytes, status: int) -> None:
    """Reliability cases 3 and 4: only a model of that very provider is served, another is 400, an unknown one 404."""
    async with six_doors(tmp_path) as house:
        seen = await house.ask(ANTHROPIC, body=b'{"model":"%b"}' % name, target=path)
        assert seen.status == status
        assert len(house.keeper.heads) == (status == 200)
        if status != 200:
            kind = "not_found_error" if status == 404 else "invalid_request_error"
            assert json.loads(seen.body)["error"]["type"] == kind
            assert not TELLING.search(seen.body)
        else:
            assert house.keeper.bodies == [b'{"model":"vendor-m"}']


@EVERY_DOOR
async def test_provider_that_is_another_ones_reads_like_no_model(tmp_path: Path, door: Door) -> None:
    """Reliability §1: a model under a provider that is not its own is 400 in the words for a model that is none."""
    other = b"nobody/" + door.model
    async with six_doors(tmp_path) as house:
        target = door.target.replace(door.model, other.replace(b"/", b"%2F"))
        right = door.target.replace(door.model, door.name.encode() + b"%2F" + door.model)
        seen = await house.ask(door, body=door.body.replace(b"%b", other), target=target)
        assert (seen.status, other in seen.body, house.keeper.heads) == (400, True, [])
        assert b"JSON" not in seen.body
        served = await house.ask(
            door, body=door.body.replace(b"%b", door.name.encode() + b"/" + door.model), target=right
        )
        assert served.status == 200


SLASHED = """  "a/openai-m": {provider: openai, upstream_model: slashed}
  "openai/openai-m": {provider: openai, upstream_model: whole}
"""


async def test_model_with_a_slash_wins_over_the_split(tmp_path: Path) -> None:
    """Reliability case 4: a name is taken as it stands before it is taken apart."""
    async with six_doors(tmp_path) as house:
        text = house.site._file.read_text().replace("models:\n", "models:\n" + SLASHED)
        assert await house.site.reload(text)
        for name in (b"a/openai-m", b"openai/openai-m"):
            assert (await house.ask(OPENAI, body=b'{"model":"%b"}' % name)).status == 200
        assert house.keeper.bodies == [b'{"model":"slashed"}', b'{"model":"whole"}']


@pytest.mark.parametrize(("segment", "status"), [(b"a%3Ab", 200), (b"a:b", 200), (b"a%253Ab", 404), (b"a%2525b", 200)])
async def test_name_in_a_path_is_decoded_once(tmp_path: Path, segment: bytes, status: int) -> None:
    """Reliability case 7: `%3A` is a colon, `%253A` is three characters, for Bedrock as for Gemini."""
    async with six_doors(tmp_path) as house:
        rows = "".join(
            f'  "{letter}{name}": {{provider: {door}, upstream_model: "v:1"}}\n'
            for door, letter in (("bedrock", "x"), ("gemini", "y"))
            for name in ("a:b", "a%25b")
        )
        assert await house.site.reload(house.site._file.read_text().replace("models:\n", "models:\n" + rows))
        for target in (b"/model/x%b/converse" % segment, b"/v1beta/models/y%b:generateContent" % segment):
            assert (await house.ask(BEDROCK, target=target)).status == status
        targets = [head.split(b" ")[1] for head in house.keeper.heads]
        wanted = [b"/model/v%3A1/converse", b"/v1beta/models/v%3A1:generateContent"]
        assert targets == (wanted if status == 200 else [])


COUNTED = [
    (b'{"contents":[]}', b'{"contents":[]}'),
    (b'{"model":"models/gemini-m"}', b'{"model":"models/vendor-m"}'),
    (
        b'{ "generateContentRequest" : {"model":"models/gemini-m","contents":[{"model":"gemini-m"}] } ,"x":1e400}',
        b'{ "generateContentRequest" : {"model":"models/vendor-m","contents":[{"model":"gemini-m"}] } ,"x":1e400}',
    ),
    (
        b'{"model":"a","generate_content_request":{"\\u006dodel":"b", "model" : "c"},"model":"d"}',
        (
            b'{"model":"models/vendor-m","generate_content_request":{"\\u006dodel":"models/vendor-m", '
            b'"model" : "models/vendor-m"},"model":"models/vendor-m"}'
        ),
    ),
    (b'{"generateContentRequest":{"contents":[]}}', b'{"generateContentRequest":{"contents":[]}}'),
    (b'{"generateContentRequest":[1]}', b'{"generateContentRequest":[1]}'),
]


@pytest.mark.parametrize(("body", "sent"), COUNTED)
async def test_request_that_is_counted_is_for_the_lanes_model(tmp_path: Path, body: bytes, sent: bytes) -> None:
    """Gemini §4: wherever a body for `countTokens` names the model, it names the lane's, and no other byte changes."""
    async with six_doors(tmp_path) as house:
        gemini = BY_NAME["gemini"]
        target = gemini.target.replace(b":generateContent", b":countTokens")
        assert (await house.ask(gemini, body=body, target=target)).status == 200
        assert house.keeper.bodies == [sent]
        assert house.keeper.heads[0].startswith(b"POST /v1beta/models/vendor-m:countTokens HTTP/1.1\r\n")
        named = b'{"generateContentRequest":{"model":"models/gemini-m"}}'
        assert (await house.ask(gemini, body=named)).status == 200
        assert house.keeper.bodies[1] == named


@pytest.mark.parametrize("body", [b'{"generateContentRequest":{1}}', b'{"generateContentRequest":{"model":"a" "b"}}'])
async def test_request_that_is_counted_may_be_broken(tmp_path: Path, body: bytes) -> None:
    """Reliability case 5: what is no JSON inside is refused as such where we have to look."""
    async with six_doors(tmp_path) as house:
        target = b"/v1beta/models/gemini-m:countTokens"
        assert (await house.ask(BY_NAME["gemini"], body=body, target=target)).status == 400
        assert house.keeper.heads == []


# Bodies that are too large, or none

LARGE = {
    "openai": b'"type":"invalid_request_error"',
    "responses": b'"type":"invalid_request_error"',
    "anthropic": b'"type":"request_too_large"',
    "gemini": b'"code":413',
    "cohere": b'{"message":"',
    "bedrock": b'"__type":"ValidationException"',
}


@EVERY_DOOR
@pytest.mark.parametrize("is_chunked", [False, True])
async def test_body_may_be_as_large_as_its_cap(tmp_path: Path, door: Door, is_chunked: bool) -> None:
    """Operations case 9: a body of exactly the cap is served, one byte more is 413 in the dialect's own words."""
    start = door.minimal.replace(b"}", b',"x":"' if door.body != b"{}" else b'"x":"')
    async with six_doors(tmp_path, more="limits: {request_body_max_bytes: 65536}\n") as house:
        for extra, status in ((0, 200), (1, 413)):
            body = start + b"x" * (65536 - len(start) - 2 + extra) + b'"}'
            raw = post(body, CLOSE, target=door.target)
            if is_chunked:
                raw = chunked_head(CLOSE, target=door.target) + chunked(body, 1000)
            seen = read(await house.say(raw))
            assert seen.status == status
            assert len(house.keeper.heads) == 1
        assert LARGE[door.name] in seen.body


BAD = [
    b"",
    b" ",
    b"nothing",
    b"[]",
    b"[1]",
    b'"x"',
    b"null",
    b"{",
    b'{"model":',
    b'{"model":"x"}}',
    b'{"model":"x"} x',
    b'{"x":' + b"[" * 128 + b"]" * 128 + b"}",
]


@EVERY_DOOR
async def test_body_that_is_no_object_is_refused(tmp_path: Path, door: Door) -> None:
    """Reliability case 5, operations case 35: no object or too deep is 400 in the dialect's words."""
    bad = [*BAD]
    if door.body != b"{}":
        bad += [b'{"model":%b}' % value for value in (b"7", b"null", b'""', b'["x"]', b"{}", b"true")] + [b"{}"]
    async with six_doors(tmp_path) as house:
        for body in bad:
            seen = read(await house.say(post(body, CLOSE, target=door.target)))
            assert seen.status == 400, body
            assert b"nothing" not in seen.body
            assert not TELLING.search(seen.body)
        deep = door.minimal.replace(b"}", b"%b%b}" % (b"," * (door.body != b"{}"), b'"x":' + b"[" * 127 + b"]" * 127))
        assert (await house.ask(door, body=deep)).status == 200
        assert len(house.keeper.heads) == 1
