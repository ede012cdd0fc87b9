"""What an error means to the person at the command line: a sentence, and an exit code."""

from __future__ import annotations

INTERRUPTED = 130


def explain(error: Exception) -> tuple[str, int]:
    """Return what to say of ``error`` and the exit code that ``sttgate --help`` promises."""
    from sttgate.errors import ConfigError, NotConfigured, ProviderError, SttgateError

    match error:
        case ConfigError():
            return str(error), 3  # each line begins with the place of the mistake
        case ProviderError() | NotConfigured():
            return f"sttgate: {error}", 4
        case SttgateError():
            return f"sttgate: {error}", 1
    what = " ".join(f"{type(error).__name__}: {error}".split())
    return f"sttgate: {what}; `sttgate --debug ...` shows where this comes from", 1
