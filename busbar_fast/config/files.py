"""Which files a configuration is read from, and in which order places are tried."""

from collections.abc import Mapping
from pathlib import Path

from busbar_fast.config.inputs import Inputs

CONFIG = "/etc/busbar/config.yaml"
CATALOG = "/etc/busbar/providers.yaml"
PACKAGED = str(Path(__file__).resolve().parent.parent / "catalog" / "providers.yaml")


def find_config(named: str | None, environment: Mapping[str, str]) -> str:
    """Return the path of the deployment file: the flag's, the variable's, or the usual one."""
    return named or environment.get("BUSBAR_CONFIG") or CONFIG


def find_catalog(named: str | None, environment: Mapping[str, str]) -> str | None:
    """Return the path of the catalog that the command line or the environment names, None if neither does."""
    return named or environment.get("BUSBAR_PROVIDERS") or None


def neighbour_catalog(config: str, inputs: Inputs) -> str:
    """Return the first catalog that is there: beside the deployment file, the usual one, the one in the package."""
    for path in (str(Path(config).parent / "providers.yaml"), CATALOG):
        try:
            inputs.read(path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            return path  # it is there and cannot be read: whoever reads it says so
        return path
    return PACKAGED
