"""A server for every test of the API that asks for one."""

from __future__ import annotations

from tests.functional.conftest import serve

__all__ = ["serve"]
