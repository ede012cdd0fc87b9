"""What ``sttgate doctor`` looks at; each module a field of its own."""

from sttgate.cli.checks.finding import Finding

__all__ = ["Finding"]
