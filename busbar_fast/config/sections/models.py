"""`models`: each is one lane."""

from busbar_fast.config.reading import I64, U32, Section
from busbar_fast.config.schema import Model
from busbar_fast.config.sections.references import not_blank
from busbar_fast.config.variables import has_control
from busbar_fast.config.vocabulary import Vocabulary


def read_model(section: Section, name: str, vocabulary: Vocabulary, default_max_tokens: int) -> Model:
    """Return one lane."""
    max_requests = section.integer("max_requests", -1, I64)
    if max_requests == 0:
        section.error(
            "max_requests", "must not be 0; any negative number means unlimited", section.written("max_requests")
        )
    return Model(
        provider=section.need_text("provider", not_blank),
        upstream_model=section.text("upstream_model", name, complaint_of_upstream_name),
        max_concurrent=section.maybe_integer("max_concurrent", 1),
        max_requests=max(max_requests, -1),
        default_max_tokens=section.integer("default_max_tokens", default_max_tokens, 1, U32),
        attempt_timeout_ms=section.maybe_integer("attempt_timeout_ms", 1),
        reasoning=section.flag("reasoning", default=False),
        prompt_caching=section.flag("prompt_caching", default=False),
        options=_read_options(section, vocabulary),
    )


def complaint_of_upstream_name(text: str) -> str:
    """Return why no provider could have a model of this name, or nothing."""
    if not text.strip():
        return "must not be empty"
    return "must not hold control characters" if has_control(text) else ""


def _read_options(section: Section, vocabulary: Vocabulary) -> dict[str, str | bool]:
    options: dict[str, str | bool] = {}
    for option, words in vocabulary.model_options.items():
        if words:
            chosen = section.choice(option, "", words)
            if chosen:
                options[option] = chosen
        elif section.flag(option, default=False):
            options[option] = True
    return options
