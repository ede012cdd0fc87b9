"""What sttgate costs, measured beside others on the same machine (docs/performance.md)."""
