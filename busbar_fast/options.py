"""The words of the command line and what they ask for; prints nothing and touches no file."""

from busbar_fast import __version__

HELP = """\
usage: busbar-fast [--config PATH] [--providers PATH] [--strict]     run the gateway
       busbar-fast --validate [--strict] ...                         check the configuration and end
       busbar-fast demo [--host ADDRESS] [--port PORT]               serve a built-in backend; needs no configuration
       busbar-fast keys list|create|show|update|delete|usage ...     manage virtual keys; keys --help says more
       busbar-fast top [--url URL] [--once] ...                      watch a running gateway; top --help says more

A lean, latency-sensitive LLM gateway.

flags
  --config PATH                the deployment file (else BUSBAR_CONFIG, else /etc/busbar/config.yaml)
  --providers PATH             the provider catalog (else BUSBAR_PROVIDERS, `providers_file`, providers.yaml beside the
                               deployment file, /etc/busbar/providers.yaml, the catalog inside the package)
  --validate                   check the configuration as a start does and end: 0 without errors, 1 with; opens no port
  --strict                     let warnings fail as well
  --healthcheck                ask the gateway of this configuration for /livez: 0 if it answers 200 within 5 s
  --host ADDRESS, --port PORT  for demo: where it listens (127.0.0.1, 8080; port 0 is any that is free)
  --print-metadata-blocklist   list the hosts that no provider may be at
  -V, --version                print the version
  -h, --help                   print this

variables
  BUSBAR_CONFIG, BUSBAR_PROVIDERS   see above
  BUSBAR_LOG, else RUST_LOG         error, warn, info, debug or trace (info)
  BUSBAR_LOG_FORMAT                 text or json (text)
  BUSBAR_CACHE_DIR                  where the checked configuration is kept for the next start
  BUSBAR_ADMIN_TOKEN                for keys: an operator's token
  BUSBAR_TOKEN                      for top: a token that reads /stats, and BUSBAR_METRICS_TOKEN one for /metrics
  BUSBAR_URL                        for keys and top: where the gateway is
  BUSBAR_HTTP_PARSER                httptools or h11
  BUSBAR_PURE                       not empty: run as written, whatever lies there compiled
  SSL_CERT_FILE, SSL_CERT_DIR       trusted authorities for https upstreams
  any ${NAME} in the files, and the variables that `api_key_env` names

endpoints
  POST /v1/chat/completions, /v1/responses, /v1/messages, /v2/chat       a model or pool by the body's `model`
  POST /NAME/v1/messages, /PROVIDER/MODEL/v1/messages                    by the path
  POST /v1beta/models/NAME:generateContent, :streamGenerateContent       by the path
  POST /model/NAME/converse, /model/NAME/converse-stream                 by the path
  POST /v1/messages/count_tokens, :countTokens, /model/NAME/count-tokens likewise, to count tokens
  POST /v1/embeddings, :embedContent, :batchEmbedContents, /v2/embed     vectors, from every lane that makes them
  POST /v1/moderations, /v1/images/..., /v1/audio/..., :predict, /v2/rerank
                               to lanes of the same dialect, as they stand
  GET  /v1/models              everything that can be asked for
  /admin/keys                  virtual keys, for operators
  GET  /stats, /metrics        lanes and pools as JSON; series for Prometheus
  GET  /ui                     both for people, where `observability.status_page` is on
  GET  /healthz                200 if some lane can serve, else 503
  GET  /livez, /readyz         200 if the process turns; 200 if it takes requests

signals
  SIGHUP                       read both files again; a mistake leaves the running configuration alone
  SIGTERM, SIGINT              finish what runs, then end; once more: end at once

exit codes: 0 done, 1 a mistake in the configuration or a port that is taken, 2 a mistake on the command line,
130 killed by the third signal
"""
VERSION = f"busbar-fast {__version__}"

RUN, VALIDATE, HEALTHCHECK, BLOCKLIST, DEMO, KEYS, TOP, SHOW_HELP, SHOW_VERSION = range(9)
_ACTIONS = {
    "--validate": VALIDATE,
    "--healthcheck": HEALTHCHECK,
    "--print-metadata-blocklist": BLOCKLIST,
}
_COMMANDS = {"keys": KEYS, "top": TOP}  # that read the words behind them themselves
_AT_ONCE = {"--help": SHOW_HELP, "-h": SHOW_HELP, "--version": SHOW_VERSION, "-V": SHOW_VERSION}
_HIGHEST_PORT = 65535


class Usage(Exception):
    """The command line makes no sense; the text names the word that does not."""


class Options:
    """What a command line asks for."""

    __slots__ = ("action", "config", "host", "is_strict", "port", "providers", "rest")

    def __init__(self) -> None:
        self.action = RUN
        self.config: str | None = None
        self.providers: str | None = None
        self.is_strict = False
        self.host = "127.0.0.1"
        self.port = 8080
        self.rest: list[str] = []  # words for a command that reads them itself


def read_options(words: list[str]) -> Options:
    """Return what these words ask for, from left to right. Raise Usage."""
    options = Options()
    if words and words[0] in _COMMANDS:
        options.action, options.rest = _COMMANDS[words[0]], words[1:]
        return options
    left = list(words)
    while left:
        is_first = len(left) == len(words)
        word, joint, joined = left.pop(0).partition("=")
        if word in _AT_ONCE and not joint:
            options.action = _AT_ONCE[word]
            return options
        if word == "demo" and is_first and not joint:
            options.action = DEMO
        elif options.action == DEMO and word in ("--host", "--port"):
            _set_address(options, word, _value(word, joined if joint else _next_value(left)))
        elif word in ("--config", "--providers") and options.action != DEMO:
            setattr(options, word[2:], _value(word, joined if joint else _next_value(left)))
        elif word == "--strict" and not joint and options.action != DEMO:
            options.is_strict = True
        elif word in _ACTIONS and not joint and options.action in (RUN, _ACTIONS[word]):
            options.action = _ACTIONS[word]
        else:
            raise Usage(f"unexpected argument {word + joint + joined!r}")
    return options


def _next_value(left: list[str]) -> str:
    """Take the word behind a flag if it is a value; a flag there means that the value was forgotten."""
    return left.pop(0) if left and not left[0].startswith("--") else ""


def _value(flag: str, value: str) -> str:
    if not value:
        raise Usage(f"{flag} needs a value")
    return value


def _set_address(options: Options, flag: str, value: str) -> None:
    if flag == "--host":
        options.host = value
        return
    port = int(value) if value.isascii() and value.isdigit() and len(value) <= 5 else -1
    if not 0 <= port <= _HIGHEST_PORT:
        raise Usage(f"--port must be a number from 0 (any free port) to {_HIGHEST_PORT}, not {value!r}")
    options.port = port
