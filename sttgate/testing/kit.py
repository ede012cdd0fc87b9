"""What the test classes of the kit have in common: a clause can be opted out only with a reason."""

from __future__ import annotations

from typing import Any

FREED_WITHIN = 3.0
"""Seconds for what the contract frees within one: test machines are busy."""


class Kit:
    """Base of the test classes; refuses a subclass that silences a test without saying why."""

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        for name, value in vars(cls).items():
            inherited = name.startswith("test_") and any(
                name in vars(base) for base in cls.mro()[1:]
            )
            if inherited and not _has_reason(value):
                raise TypeError(
                    f"{cls.__name__} overrides {name}, a clause of the contract: to opt out, mark "
                    'it @pytest.mark.xfail(reason="why it cannot be kept"), and call super() in it'
                )


def _has_reason(function: object) -> bool:
    marks = getattr(function, "pytestmark", ())
    return any(mark.name == "xfail" and mark.kwargs.get("reason") for mark in marks)
