"""Entries of catalog and deployment, read by themselves and merged."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from busbar_fast.aws import endpoint
from busbar_fast.aws.credentials import BadCredential, parse_credential
from busbar_fast.config.guards.verdicts import RefusalKind, Verdict
from busbar_fast.config.inputs import Inputs
from busbar_fast.config.reading import Section
from busbar_fast.config.schema import NONE, Health, Provider, Secret, Security
from busbar_fast.config.sections import providers
from busbar_fast.config.sections.providers import CLASSES, Merger, find_region, read_catalog
from busbar_fast.config.vocabulary import Vocabulary
from busbar_fast.reliability.dispositions import ErrorClass
from tests.config.cases import VOCABULARY, paths_of, section_of

HEALTH = Health(interval_secs=7)
CATALOG = (
    "p: {protocol: openai, base_url: 'https://c', error_map: {a: auth, b: billing}, stream_usage: false}\n"
    "h: {protocol: openai}\n"
    "g: {protocol: gemini, base_url: 'https://c'}\nb: {protocol: bedrock, base_url: 'https://c'}\n"
)


def merged(text: str, name: str = "p", environment: dict[str, str] | None = None) -> tuple[Provider | None, Section]:
    """Return a deployment's entry merged over the catalog's, and the section it was read from."""
    catalog = read_catalog(section_of(CATALOG), VOCABULARY, HEALTH, [name])
    section = section_of(text)
    merger = Merger(catalog, "catalog.yaml", VOCABULARY, Security(), Inputs(environment or {}))
    with section:
        found = merger.merge(section, name, HEALTH)
    return found, section


PLAIN = Provider(
    protocol="openai",
    base_url="https://c",
    error_map={"a": "auth", "b": "billing"},
    health=HEALTH,
    options={"stream_usage": False},
)


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("api_key: none", {}),
        ("api_key: none\nerror_map: {a: , c: timeout}", {"error_map": {"b": "billing", "c": "timeout"}}),
        ("api_key: none\npath: '/{model}'\nauth: api-key", {"path": "/{model}", "auth": "api-key"}),
        ("api_key: none\nstream_usage: true", {"options": {"stream_usage": True}}),
        ("api_key: none\nhealth: {mode: dead}", {"health": HEALTH.with_(mode="dead")}),
        ("api_key: none\nallow_metadata_hosts: []", {}),
        ("api_key: none\nbase_url: http://d\nallow_plaintext: true", {"base_url": "http://d"}),
        ("api_key_env: K", {"credential": Secret(kind="env", source="K")}),
        ("api_key: {env: K}", {"credential": Secret(kind="env", source="K")}),
    ],
)
def test_entries_are_merged(text: str, changes: dict[str, object]) -> None:
    """Config §5: the deployment's values over the catalog's."""
    found, section = merged(text, "p", {"K": "k"})
    assert (found, section.complaints.errors) == (PLAIN.with_(**changes), [])


@pytest.mark.parametrize(
    ("text", "name", "errors"),
    [
        ("api_key: none", "x", [""]),
        ("api_key: none\nprotocol: openai\nbase_url: [u]", "x", ["base_url"]),
        ("api_key: none\nprotocol: nope", "p", ["protocol"]),
        ("api_key: none\nbase_url: ftp://x", "p", ["base_url"]),
        ("api_key: none\nbase_url: 'https://u:p/w@x'", "p", ["base_url"]),
        ("api_key: none\npath: x", "p", ["path"]),
        ("api_key: none\npath: '/#'", "p", ["path"]),
        ("api_key: none\npath: /x\npath_base: /y", "g", ["path_base"]),
        ("api_key: none\npath_base: /y", "p", ["path_base"]),
        ("api_key: none\nauth: nope", "p", ["auth"]),
        ("api_key: none\nauth: jwt-bearer", "p", ["auth"]),
        ("api_key: none\nregion: us-east-1", "p", ["region"]),
        ("api_key: none\nerror_map: {a: nope}", "p", ["error_map.a"]),
        ("api_key: none\nerror_map: {a: [x]}", "p", ["error_map.a"]),
        ("api_key: none\nerror_map: x", "p", ["error_map"]),
        ("api_key: k", "p", ["api_key"]),
        ("api_key: none\napi_key_env: K", "p", ["api_key"]),
        ("api_key: {env: K}\napi_key_env: K", "p", ["api_key"]),
        ("api_key: {file: /nowhere}", "p", ["api_key"]),
        ("api_key_env: ''", "p", ["api_key_env"]),
        ("x: 1", "p", ["api_key_env", "x"]),
        ("api_key: none", "h", []),  # said where the catalog is read
    ],
)
def test_what_is_wrong_with_an_entry_is_noted(text: str, name: str, errors: list[str]) -> None:
    """Config §5 and §6.2: complaints stand at their fields."""
    assert paths_of(merged(text, name, {"K": "k"})[1].complaints.errors) == errors


@pytest.mark.parametrize(
    ("text", "name", "warnings"),
    [
        ("api_key: none\npath: /x", "g", [("W17", "path")]),
        ("api_key: none", "b", [("W11", "b.base_url")]),
        ("api_key: none\nregion: eu-west-1", "b", []),
        ("api_key: none\nbase_url: https://bedrock.eu-west-1.x", "b", []),
        ("api_key_env: NOPE", "p", [("W4", "api_key_env")]),
        ("api_key_env: ODD", "p", [("W12", "api_key_env")]),
        ("api_key_env: K\napi_key: k", "p", [("W9", "api_key")]),
        ("api_key: none\nbase_url: http://x\nallow_plaintext: true", "p", [("W10", "base_url")]),
    ],
)
def test_an_entry_may_be_warned_about(text: str, name: str, warnings: list[tuple[str, str]]) -> None:
    """Config §9: what works and deserves a look."""
    _, section = merged(text, name, {"K": "k", "ODD": "é"})
    found = section.complaints.warnings
    assert list(zip([warning.id for warning in found], paths_of(found), strict=True)) == warnings


def test_a_key_file_that_all_can_read_is_warned_about(tmp_path: Path) -> None:
    """Config §9, W16: the file's rights are looked at."""
    file = tmp_path / "k"
    file.write_text("k", encoding="utf-8")
    file.chmod(0o644)
    _, section = merged(f"api_key: {{file: {file}}}")
    assert [warning.id for warning in section.complaints.warnings] == ["W16"]


def test_an_entry_of_no_provider_has_no_key() -> None:
    """Config §14, X1: `none` is a backend without a credential."""
    found, _ = merged("api_key: none")
    assert found is not None
    assert found.credential == NONE


def test_a_joined_url_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Config §5: base_url and path together pass guard A, too."""
    monkeypatch.setattr(providers, "judge_joined_url", lambda *_: Verdict("no", RefusalKind.DENIED))
    _, section = merged("api_key: none\npath: /x")
    assert [(error.path, error.got) for error in section.complaints.errors] == [(("path",), "https://c/x")]


def test_the_catalog_is_decoded() -> None:
    """Config §5: every entry has to be a map with protocol and base_url, used or not."""
    section = section_of("x: \ny: z\nz: {colour: red, allow_metadata_hosts: [a/b]}\n")
    lenient = Section(section.node, (), section.complaints, is_lenient=True)
    assert list(read_catalog(lenient, VOCABULARY, HEALTH, [])) == ["z"]
    assert paths_of(section.complaints.errors) == ["x", "y", "z.protocol", "z.base_url"]
    assert [(warning.id, warning.path) for warning in section.complaints.warnings] == [("W23", ("z", "colour"))]


BEDROCK = VOCABULARY.protocols["bedrock"]
HOSTS = [
    ("https://bedrock-runtime.us-east-1.amazonaws.com", "us-east-1"),
    ("https://BEDROCK.EU-West-2.amazonaws.com:443/x", "eu-west-2"),
    ("https://vpce-1.bedrock-runtime-fips.us-gov-west-1.vpce.amazonaws.com", "us-gov-west-1"),
    ("https://me:pw@bedrock.eu-west-1.x?y", "eu-west-1"),
    ("https://bedrock.eu-west-1\\.x", "eu-west-1"),
    ("https://bedrock-runtime.amazonaws.com", ""),
    ("https://bedrock.local.us-east-1.x", ""),
    ("https://bedrock.us-\u00e9ast-1.x", ""),
    ("https://bedrock.us-east-\u00b2.x", ""),
    ("https://x#bedrock.us-east-1.x", ""),
    ("https://us-east-1.x", ""),
    ("https://bedrock", ""),
    ("", ""),
]


@pytest.mark.parametrize(("url", "region"), HOSTS)
def test_regions_are_read_from_hosts(url: str, region: str) -> None:
    """Config §5: the label after one of the service's, if it is shaped like a region; the signer reads the same."""
    assert (find_region(url, BEDROCK), endpoint.find_region(url, BEDROCK.region_labels)) == (region, region)


PIECES = ["https://", "bedrock", "bedrock-runtime", ".", "us-east-1", "EU-West-2", "us-1", "x", ":", "443", "@", "/"]


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.lists(st.sampled_from([*PIECES, "\\", "?", "#", "[", "]", "-", "\n", "\u0130", "\u00b2"])).map("".join))
def test_the_loader_and_the_signer_read_the_same_region(text: str) -> None:
    """Config §9, W11: the warning is raised exactly where the signer finds no region."""
    for url in (text, f"https://{text}", f"https://bedrock.{text}"):
        assert find_region(url, BEDROCK) == endpoint.find_region(url, BEDROCK.region_labels)


@given(st.text("ab:\u00e9 \x7f\n", max_size=6))
def test_the_loader_and_the_signer_refuse_the_same_pairs(text: str) -> None:
    """aws-wire case 5: a key with a colon that cannot sign is an error at the start."""
    key = text.strip()  # as every key is
    try:
        parse_credential(key)
        is_bad = False
    except BadCredential:
        is_bad = True
    assert bool(BEDROCK.complaint_of_key(key)) is (is_bad and ":" in key)


@pytest.mark.parametrize(
    ("text", "errors"),
    [
        ("api_key_env: HALF", ["the key in the variable HALF has nothing before the first colon"]),
        ("api_key: {env: HALF}", ["the key in the variable HALF has nothing before the first colon"]),
        ("api_key: {file: {file}}", ["the key in {file} has nothing before the first colon"]),
        ("api_key_env: BROKEN", ["the key in the variable BROKEN holds a character that no header may carry"]),
        ("api_key_env: SHORT", ["the key in the variable SHORT has nothing behind the first colon"]),
        ("api_key_env: HALF\nauth: bearer", []),
        ("api_key_env: WHOLE", []),
        ("api_key_env: PLAIN", []),
    ],
)
def test_a_pair_that_cannot_sign_is_an_error(text: str, errors: list[str], tmp_path: Path) -> None:
    """aws-wire case 5: the message names the variable or file; what is sent as it stands may hold any colon."""
    (tmp_path / "k").write_text(":hush", encoding="utf-8")
    (tmp_path / "k").chmod(0o600)
    environment = {"HALF": ":hush", "WHOLE": "a:hush", "PLAIN": "hush", "BROKEN": "a:hush:hu\x01sh", "SHORT": "hush:"}
    _, section = merged(text.replace("{file}", f"{tmp_path}/k"), "b", environment)
    found = [error.reason.partition(",")[0] for error in section.complaints.errors]
    assert found == [error.replace("{file}", f"{tmp_path}/k") for error in errors]
    assert "hush" not in str([*section.complaints.errors, *section.complaints.warnings]).replace(str(tmp_path), "")


@pytest.mark.parametrize(
    ("name", "words"),
    [("A_1", "the variable A_1 is"), ("sk-hush", "the variable named by api_key_env is")],
)
def test_what_is_no_name_of_a_variable_is_not_shown(name: str, words: str) -> None:
    """Config §9, W4: a key that was written in place of its variable's name stays secret."""
    _, section = merged(f"api_key_env: {name}")
    (warning,) = section.complaints.warnings
    assert (warning.id, warning.reason.startswith(words), "hush" in str(warning)) == ("W4", True, False)


@pytest.mark.parametrize("base_url", ["ftp://c?key=hush", "c?key=hush", "https://c/x?key=hush"])
@pytest.mark.parametrize("path", ["x?key=hush", "/x\\y?key=hush", "/x y?key=hush"])
def test_a_query_is_never_shown(base_url: str, path: str) -> None:
    """Config §1: the query of a URL or path may hold a key."""
    _, section = merged(f"api_key: none\nbase_url: '{base_url}'\npath: '{path}'")
    assert paths_of(section.complaints.errors) == ["base_url", "path"]
    assert [error for error in section.complaints.errors if "hush" in str(error)] == []


def test_a_catalog_of_ours_may_ask_for_more_than_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Config §5: what this version lacks is put off in every other catalog, where the provider is used."""
    monkeypatch.setattr(Vocabulary, "later_options", frozenset({"health", "error_map"}))
    fields = "protocol: openai, base_url: 'https://c', health: {mode: dead}, error_map: {a: auth}, stream_usage: true"
    found = []
    for used, is_ours in ((["p"], False), (["p"], True), ([], False)):
        section = section_of(f"p: {{{fields}}}")
        read_catalog(section, VOCABULARY, HEALTH, used, is_ours=is_ours)
        found.append(sorted(paths_of(section.complaints.unavailable)))
    assert found == [["p.error_map", "p.health"], [], []]


def test_the_words_of_error_map_are_the_classes() -> None:
    """Config §5: a word that the loader lets through is one that means something later."""
    assert tuple(error_class.word for error_class in ErrorClass) == CLASSES


def test_a_word_that_is_no_class_is_shown_with_those_that_are() -> None:
    """Config §5: the complaint names provider, code, value and all nine classes, and the nearest of them."""
    _, section = merged("api_key: none\nerror_map: {'1113': biling}")
    (error,) = section.complaints.errors
    assert (error.path[-2:], error.got) == (("error_map", "1113"), "biling")
    assert [word for word in CLASSES if word not in error.reason] == []
    assert error.reason.endswith("`billing`?")
