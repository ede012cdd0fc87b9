"""Tools for testing a plugin without a gateway, keys or a network."""

from sttgate.testing.scripted import ScriptedAudio, collect, silence, tone

__all__ = ["ScriptedAudio", "collect", "silence", "tone"]
