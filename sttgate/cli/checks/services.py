"""Plugins, stores and providers, used the way the gateway would use them; and who gets the spans."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sttgate.cli.checks.finding import Finding

if TYPE_CHECKING:
    from sttgate.config import Config
    from sttgate.config.model import ProviderConfig

_PATIENCE = 20.0  # seconds a provider or a collector has to answer


def look_at_plugins(config: Config) -> Finding:
    """Tell which are loaded; a broken one is a mistake of the configuration."""
    names = ", ".join(plugin.name for plugin in config.plugins.loaded)
    off = ", ".join(plugin.name for plugin in config.plugins.disabled)
    return Finding("ok", "plugins", f"{names}{f'; not loaded: {off}' if off else ''}")


def look_at_uploads() -> Finding:
    """Tell which files can be uploaded."""
    from sttgate.uploads.decoder import INSTALL, can_decode

    if can_decode():
        return Finding("ok", "formats of uploads", "WAV and whatever FFmpeg decodes")
    return Finding("ok", "formats of uploads", f"WAV only; for others {INSTALL}")


async def look_at_traces(config: Config, online: bool) -> Finding | None:
    """Tell whether spans can be made and, if ``online``, whether somebody takes them."""
    if (endpoint := config.traces.endpoint) is None:
        return None
    if _is_missing("opentelemetry.sdk") or _is_missing("opentelemetry.exporter"):
        message = "traces.endpoint is set; pip install 'sttgate[otel]', or remove that key"
        return Finding("error", "traces", message)
    parts = urlsplit(endpoint)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if not online:
        return Finding("ok", "traces", f"go to {endpoint}")
    try:
        async with asyncio.timeout(_PATIENCE):
            _, writer = await asyncio.open_connection(parts.hostname, port)
            writer.close()
    except (OSError, TimeoutError):
        message = f"nobody listens at {endpoint}; start the collector or correct traces.endpoint"
        return Finding("warning", "traces", message)
    return Finding("ok", "traces", f"somebody listens at {endpoint}")


def _is_missing(module: str) -> bool:
    try:
        return find_spec(module) is None
    except (ImportError, ValueError):
        return True


async def look_at_stores(config: Config) -> AsyncIterator[Finding]:
    """Open both stores and ask whether they can write."""
    from sttgate.errors import StoreError

    for subject, section in (
        ("transcripts", config.transcripts),
        ("recordings", config.recordings),
    ):
        store = section.spec.factory(section.options)
        try:
            await store.open()
            try:
                await store.check()
            finally:
                await store.close()
        except StoreError as error:
            yield Finding("error", subject, str(error))
        else:
            yield Finding("ok", subject, f"{section.spec.name} works")


async def look_at_providers(config: Config, online: bool) -> AsyncIterator[Finding]:
    """Make every provider and, if ``online``, ask each whether it can be reached.

    What a provider lacks is a warning: the next of the chain steps in, as long as there is one.
    """
    usable = 0
    others = [name for name in config.providers if name not in config.chain]
    for name in (*config.chain, *others):
        finding, works = await _provider(name, config.providers[name], online)
        if name in config.chain:
            usable += works
        elif not works and finding.level == "warning":
            finding = Finding(
                "ok", name, f"not in the chain, and cannot be asked for: {finding.message}"
            )
        yield finding
    if not usable:
        message = "no provider can be used; give one what it needs, as said above"
        yield Finding("error", "chain", message)


async def _provider(name: str, block: ProviderConfig, online: bool) -> tuple[Finding, bool]:
    """Return what to say of a provider, and whether it has what it needs."""
    from sttgate.errors import NotConfigured, ProviderError

    try:
        provider = block.spec.factory(block.options)
        if not online:
            return Finding("ok", name, "is configured"), True
        async with asyncio.timeout(_PATIENCE):
            await provider.open()
            try:
                await provider.check()
            finally:
                await provider.close()
    except NotConfigured as error:
        return Finding("warning", name, f"skipped: {error}"), False
    except ProviderError as error:
        return Finding("error", name, str(error)), True
    except TimeoutError:
        message = f"does not answer within {_PATIENCE:.0f} s; check the network and its address"
        return Finding("error", name, message), True
    except Exception as error:  # a plugin's mistake must not keep the rest from being looked at
        message = f"its plugin raised {type(error).__name__}; `sttgate plugins test` shows more"
        return Finding("error", name, message), False
    return Finding("ok", name, "answers"), True
