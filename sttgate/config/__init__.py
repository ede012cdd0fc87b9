"""config.yaml, .env, environment and options -> one frozen, checked ``Config``."""

from sttgate.config.load import find_config, load_config, load_plugins
from sttgate.config.model import (
    Config,
    PluginsConfig,
    ProviderConfig,
    ServerConfig,
    SpoolConfig,
    StoreConfig,
)

__all__ = [
    "Config",
    "PluginsConfig",
    "ProviderConfig",
    "ServerConfig",
    "SpoolConfig",
    "StoreConfig",
    "find_config",
    "load_config",
    "load_plugins",
]
