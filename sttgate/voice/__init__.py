"""Hearing where somebody speaks, and having an engine that takes whole utterances recognise them."""
