"""What the loader must know of protocols, translations and policy scripts; whoever calls it fills this in."""

from collections.abc import Mapping
from typing import Protocol

from busbar_fast.config.reading import Check


class Facts(Protocol):
    """One protocol, as far as configuration goes."""

    @property
    def name(self) -> str:
        """What stands under `protocol`."""

    @property
    def path(self) -> str:
        """The request path behind the base URL; `{model}` in it stands for the model."""

    @property
    def later_options(self) -> frozenset[str]:
        """Those settings whose feature is still to come."""

    @property
    def takes_path_base(self) -> bool:
        """Whether the part of the path before the model can be replaced."""

    @property
    def region_labels(self) -> tuple[str, ...]:
        """Labels of a host name that a region follows; none if the protocol knows no regions."""

    @property
    def provider_options(self) -> Mapping[str, str | bool]:
        """Settings of a provider that only this protocol knows, with their defaults."""

    @property
    def option_checks(self) -> Mapping[str, Check]:
        """What each of those settings must pass if it is a text."""

    @property
    def complaint_of_key(self) -> Check:
        """What a key must pass that is sent in the protocol's own way; it never quotes any of it."""

    @property
    def settings(self) -> Mapping[str, tuple[str, ...]]:
        """Settings of the whole gateway in a section of this protocol's name: the words of each, its default first."""


# A setting of a model that only some writers look at: the words it may have, or nothing if it is true or false.
ModelOptions = Mapping[str, tuple[str, ...]]


class Vocabulary:
    """Every protocol by name, the model settings of their writers, what a policy script must pass, what may be lost."""

    __slots__ = ("complaint_of_script", "losses", "model_options", "protocols", "special_options")

    def __init__(
        self,
        protocols: Mapping[str, Facts],
        model_options: ModelOptions,
        complaint_of_script: Check,
        losses: frozenset[str],
        special_options: Mapping[str, frozenset[str]],
    ) -> None:
        self.protocols = protocols
        self.model_options = model_options
        self.complaint_of_script = complaint_of_script
        self.losses = losses
        self.special_options = special_options  # of models, that lanes of these protocols alone look at

    @property
    def provider_options(self) -> dict[str, str | bool]:
        """Every provider setting of any protocol, with its default."""
        return {name: default for facts in self.protocols.values() for name, default in facts.provider_options.items()}

    @property
    def later_options(self) -> frozenset[str]:
        """Every provider setting whose feature is still to come."""
        return frozenset[str]().union(*(facts.later_options for facts in self.protocols.values()))
