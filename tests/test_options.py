"""The words of the command line: what each asks for, in which order, and which make no sense."""

import pytest

from busbar_fast import __version__
from busbar_fast import options as words
from busbar_fast.options import Usage, read_options


def read(line: str) -> words.Options:
    """Return what a line asks for."""
    return read_options(line.split())


@pytest.mark.parametrize(
    ("line", "action"),
    [
        ("", words.RUN),
        ("--validate", words.VALIDATE),
        ("--healthcheck", words.HEALTHCHECK),
        ("--print-metadata-blocklist", words.BLOCKLIST),
        ("demo", words.DEMO),
        ("keys", words.KEYS),
        ("keys list --help", words.KEYS),
        ("top", words.TOP),
        ("top --once --config", words.TOP),
        ("--help", words.SHOW_HELP),
        ("-h", words.SHOW_HELP),
        ("--version", words.SHOW_VERSION),
        ("-V", words.SHOW_VERSION),
        ("--validate --validate", words.VALIDATE),
        ("--config c --strict --validate --providers p", words.VALIDATE),
        ("demo --help", words.SHOW_HELP),
        ("--validate -V", words.SHOW_VERSION),
    ],
)
def test_each_argument_asks_for_its_action(line: str, action: int) -> None:
    """Config §3: every row of the table, alone and behind others."""
    assert read(line).action == action


@pytest.mark.parametrize(("line", "is_strict"), [("", False), ("--strict", True), ("--strict --strict", True)])
def test_strict_stands_alone_or_with_others(line: str, is_strict: bool) -> None:
    """Config §14 X2: `--strict` alone applies to a start, and it goes with `--validate` in either order."""
    assert read(line).is_strict == is_strict
    assert read(f"{line} --validate").is_strict == read(f"--validate {line}").is_strict == is_strict


@pytest.mark.parametrize(
    ("line", "config", "providers"),
    [
        ("", None, None),
        ("--config f", "f", None),
        ("--config=f", "f", None),
        ("--config=a=b", "a=b", None),
        ("--config=--odd", "--odd", None),
        ("--config -", "-", None),
        ("--providers=g --config f", "f", "g"),
        ("--config f --config h", "h", None),
        ("--healthcheck --config f", "f", None),
    ],
)
def test_paths_are_values_of_flags(line: str, config: str | None, providers: str | None) -> None:
    """Config §3: a value stands behind its flag or its `=`, and the last one counts."""
    options = read(line)
    assert (options.config, options.providers) == (config, providers)


@pytest.mark.parametrize(
    ("line", "host", "port"),
    [
        ("demo", "127.0.0.1", 8080),
        ("demo --host ::1 --port 0", "::1", 0),
        ("demo --port=65535 --host=h", "h", 65535),
        ("demo --port 00080", "127.0.0.1", 80),
    ],
)
def test_demo_has_an_address(line: str, host: str, port: int) -> None:
    """Design §8: the demo listens where it is told, on the loopback address by itself."""
    options = read(line)
    assert (options.host, options.port) == (host, port)


@pytest.mark.parametrize(
    "line", ["--help --bogus", "-h serve", "-V --config", "--version --validate=1", "--help --help"]
)
def test_help_and_version_act_when_they_are_reached(line: str) -> None:
    """Config §3: words are read from left to right, so nothing behind these two is looked at."""
    assert read(line).action in {words.SHOW_HELP, words.SHOW_VERSION}


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("--bogus --help", "--bogus"),
        ("serve --version", "serve"),
        ("--config --help", "--config"),
        ("--validate=1 --help", "--validate=1"),
    ],
)
def test_a_mistake_before_help_is_one(line: str, named: str) -> None:
    """Config §3: a word that makes no sense is refused before `--help` is reached."""
    with pytest.raises(Usage, match=named):
        read(line)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("--config", "--config"),
        ("--config=", "--config"),
        ("--providers", "--providers"),
        ("--providers --config f", "--providers"),
        ("--config f --providers=", "--providers"),
        ("demo --port", "--port"),
        ("demo --host=", "--host"),
        ("demo --host --port", "--host"),
    ],
)
def test_flag_without_its_value_is_named(line: str, named: str) -> None:
    """Config §14 X2: a flag without its value is a mistake of the command line, and a flag is no value."""
    with pytest.raises(Usage, match=f"{named} needs a value"):
        read(line)


def test_empty_words_are_refused() -> None:
    """Config §3: an empty value is none, and an empty word is nothing that we know."""
    with pytest.raises(Usage, match="--config needs a value"):
        read_options(["--config", ""])
    with pytest.raises(Usage, match="unexpected argument ''"):
        read_options([""])


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("--bogus", "--bogus"),
        ("--bogus=1", "--bogus=1"),
        ("-x", "-x"),
        ("-", "-"),
        ("--", "--"),
        ("serve", "serve"),
        ("DEMO", "DEMO"),
        ("--conf f", "--conf"),
        ("--Help", "--Help"),
        ("-hV", "-hV"),
        ("--help=1", "--help=1"),
        ("--strict=true", "--strict=true"),
        ("demo=1", "demo=1"),
        ("--config f g", "g"),
        ("--port 80", "--port"),
        ("--host h", "--host"),
        ("demo demo", "demo"),
        ("demo --config f", "--config"),
        ("demo --strict", "--strict"),
        ("demo --validate", "--validate"),
        ("--config f demo", "demo"),
        ("--strict demo", "demo"),
        ("--validate demo", "demo"),
        ("--validate --healthcheck", "--healthcheck"),
        ("--healthcheck --print-metadata-blocklist", "--print-metadata-blocklist"),
    ],
)
def test_any_other_word_is_named(line: str, named: str) -> None:
    """Config §3: any other flag or positional is refused, also one that belongs to another command."""
    with pytest.raises(Usage) as raised:
        read(line)
    assert str(raised.value) == f"unexpected argument {named!r}"


@pytest.mark.parametrize("port", ["65536", "-1", "http", "8_0", "٨٠", "999999999999", "+80", "8 0", "0x50"])
def test_port_is_a_number_in_range(port: str) -> None:
    """Config §3: a port that is none is a mistake of the command line."""
    with pytest.raises(Usage, match="--port must be a number from 0"):
        read_options(["demo", "--port", port])


def test_words_are_left_as_they_were() -> None:
    """The caller's list is not used up."""
    line = ["--config", "f", "--strict"]
    read_options(line)
    assert line == ["--config", "f", "--strict"]


def test_help_names_every_flag_variable_and_code() -> None:
    """Config §3: usage, flags, variables and endpoints stand in the help, and the version is the package's."""
    flags = "--config --providers --validate --strict --healthcheck --print-metadata-blocklist --version --help -V -h"
    variables = "BUSBAR_CONFIG BUSBAR_PROVIDERS BUSBAR_LOG RUST_LOG BUSBAR_LOG_FORMAT BUSBAR_CACHE_DIR SSL_CERT_FILE"
    endpoints = "/v1/chat/completions /v1/models /healthz /livez /readyz"
    everything = f"{flags} {variables} {endpoints} SIGHUP SIGTERM demo 130".split()
    assert [word for word in everything if word not in words.HELP] == []
    assert f"busbar-fast {__version__}" == words.VERSION
