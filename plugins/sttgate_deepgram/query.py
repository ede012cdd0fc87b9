"""The query of ``/v1/listen``: our options in Deepgram's words."""

from __future__ import annotations

from typing import Any

from sttgate_deepgram.options import NEWEST, LiveOptions


def live_query(options: LiveOptions, sample_rate: int) -> dict[str, Any]:
    """Return the arguments of the SDK's ``listen.v1.connect`` for mono linear16 at ``sample_rate`` Hz.

    None leaves a parameter out, a list repeats it, and a bool becomes ``true`` or ``false``.
    """
    # Nova-3 takes key terms and no keywords; older models take keywords and no key terms.
    keyterms, keywords = list(options.keyterms), list(options.keywords)
    if not options.model.startswith(NEWEST):
        keyterms, keywords = [], keywords + keyterms
    return {
        "model": options.model,
        "version": options.version,
        "language": "multi" if options.language == "auto" else options.language,
        "encoding": "linear16",
        "sample_rate": sample_rate,
        "channels": 1,
        "smart_format": options.smart_format,
        "punctuate": options.punctuate,
        "numerals": options.numerals,
        "dictation": options.dictation,
        "profanity_filter": options.profanity_filter,
        "redact": list(options.redact),
        "replace": [f"{heard}:{written}" for heard, written in options.replace.items()],
        "search": list(options.search),
        "keyterm": keyterms,
        "keywords": keywords,
        "diarize": True if options.diarize and not options.diarize_model else None,
        "diarize_model": options.diarize_model if options.diarize else None,
        "detect_entities": options.detect_entities,
        # Deepgram measures the gap between words on interim results and refuses one without the other.
        "interim_results": options.interim_results or bool(options.utterance_end_ms),
        "endpointing": options.endpointing,
        "utterance_end_ms": options.utterance_end_ms or None,
        "vad_events": options.vad_events,
        "mip_opt_out": options.mip_opt_out,
        "tag": list(options.tag),
        "extra": [f"{key}:{value}" for key, value in options.extra.items()],
        # The SDK has no arguments for these two.
        "request_options": {
            "additional_query_parameters": {
                "filler_words": options.filler_words,
                "no_delay": options.no_delay,
            }
        },
    }
