"""Settings: flag > environment > file > default, as one frozen value.

    load(flags=…, environ=…, file=…) -> Settings      or ConfigError with everything that is wrong
    effective(inspect(…)) -> dict                     for people, without secrets, with sources

The only reader of the environment. Types are in core/settings.py, core/limits.py and
core/profile.py; config/roomcast.toml of the repository gives each key its reason.
"""

from roomcast.config.loading import Loaded, inspect, load
from roomcast.config.problems import ConfigError
from roomcast.config.show import effective

__all__ = ["ConfigError", "Loaded", "effective", "inspect", "load"]
