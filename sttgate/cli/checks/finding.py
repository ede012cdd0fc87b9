"""What a check says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; ``message`` says what is and, unless it is ok, what to do."""

    level: Literal["ok", "warning", "error"]
    subject: str
    message: str
