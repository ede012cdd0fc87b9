"""What people may change of a session: the body of a PATCH (RFC 7396)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from sttgate.api.problems import ApiProblem
from sttgate.stores import Scalar, SessionChange, StoredSession

MAX_METADATA_BYTES = 4 * 1024  # as JSON; what the native protocol takes with `start`
MAX_SPEAKERS = 100

Label = Annotated[str, Field(min_length=1, max_length=64)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Key = Annotated[str, Field(min_length=1, max_length=200)]
Integer = Annotated[int, Field(ge=-(2**53), le=2**53)]  # what a double holds exactly
Text = Annotated[str, Field(max_length=MAX_METADATA_BYTES)]


class SessionPatch(BaseModel):
    """What to change; what is left out stays as it is, null removes it."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    title: Annotated[str, Field(max_length=200)] | None = None
    """The title; an empty one is removed, too."""
    speakers: dict[Label, Name | None] = Field({}, max_length=MAX_SPEAKERS)
    """Names for the labels of speakers."""
    metadata: dict[Key, Text | bool | Integer | float | None] = Field({}, max_length=100)
    """Values by key; all of a session are 4 KiB at most."""

    def change_of(self, session: StoredSession) -> SessionChange:
        """Return it for a transcript store; ApiProblem 400 if ``session`` would become too large."""
        if self.metadata:
            merged = _merged(session.start.metadata, self.metadata)
            if len(msgspec.json.encode(merged)) > MAX_METADATA_BYTES:
                raise ApiProblem(
                    400, f"The metadata of a session is {MAX_METADATA_BYTES} bytes at most."
                )
        if self.speakers and len(_merged(session.speakers, self.speakers)) > MAX_SPEAKERS:
            raise ApiProblem(400, f"A session has {MAX_SPEAKERS} names of speakers at most.")
        return SessionChange(
            title=(self.title or "") if "title" in self.model_fields_set else None,
            speakers=self.speakers or None,
            metadata=self.metadata or None,
        )


def _merged(old: Mapping[str, Scalar], new: Mapping[str, Scalar]) -> dict[str, Scalar]:
    return {key: value for key, value in {**old, **new}.items() if value is not None}
