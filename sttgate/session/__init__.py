"""One caller's transcription: an audio log, an event log, and cursors on them."""
