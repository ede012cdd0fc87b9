"""What was used, by day and key."""

from __future__ import annotations

import time
from collections.abc import Iterable

from aiohttp import web
from pydantic import Field

from sttgate.api.instants import Moment
from sttgate.api.models import AnswerModel
from sttgate.api.routing import Answer, Operation, Query
from sttgate.stores import TranscriptStore

_USUAL = 30 * 86_400.0  # seconds


class UsageQuery(Query):
    """Which days to add up."""

    since: Moment | None = Field(None, alias="from")
    """Sessions that ended then or later; without it, 30 days before `to`."""
    until: Moment | None = Field(None, alias="to")
    """Sessions that ended before; without it, up to now."""


class DayUsage(AnswerModel):
    """What the sessions of one key that ended on one day add up to."""

    day: str = Field(json_schema_extra={"format": "date"})
    """In UTC."""
    owner: str | None
    """The id of the key; null if nobody was asked for one."""
    sessions: int
    """Their number."""
    usage: dict[str, float]
    """Seconds: `audio_s` was received, `PROVIDER.sent_s` given to a provider, and the like."""


class Usage(AnswerModel):
    """What was used, by day and key; deleting a session does not change it."""

    days: list[DayUsage]


class UsageApi:
    """The operation that tells what was used."""

    def __init__(self, transcripts: TranscriptStore) -> None:
        self._transcripts = transcripts

    def operations(self) -> Iterable[Operation]:
        """Return the operation."""
        return [
            Operation(
                name="getUsage",
                method="GET",
                path="/usage",
                handler=self.usage,
                scope="admin",
                summary="See what was used, by day and key",
                query=UsageQuery,
                answers=(Answer(text="The days with sessions, in order.", model=Usage),),
            )
        ]

    async def usage(self, request: web.Request, query: UsageQuery) -> Usage:
        """Return what was used."""
        until = query.until if query.until is not None else time.time()
        since = query.since if query.since is not None else until - _USUAL
        days = await self._transcripts.usage(since, until)
        return Usage(
            days=[
                DayUsage(day=day.day, owner=day.owner, sessions=day.sessions, usage=dict(day.usage))
                for day in days
            ]
        )
