"""What a dialect says about itself before any of its bytes are read: plain facts for configuration and routing."""

from collections.abc import Mapping


class Facts:
    """One dialect as a provider speaks it."""

    __slots__ = ("later_options", "name", "path", "provider_options", "region_labels", "settings", "takes_path_base")

    def __init__(
        self,
        name: str,
        path: str,
        *,
        takes_path_base: bool = False,
        region_labels: tuple[str, ...] = (),
        provider_options: Mapping[str, str | bool] | None = None,
        later_options: frozenset[str] = frozenset(),
        settings: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        self.name = name
        self.path = path  # behind the base URL; `{model}` stands for the model
        self.takes_path_base = takes_path_base  # what stands before the model in the path can be replaced
        self.region_labels = region_labels  # labels of a host name that a region follows
        self.provider_options = provider_options or {}  # settings only this dialect knows, with their defaults
        self.later_options = later_options  # those of them whose feature is still to come
        self.settings = settings or {}  # of the whole gateway: the words of each, its default first
