"""The running service without a wire: configured providers and stores, and the live sessions."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from hmac import compare_digest

import structlog

from sttgate.access.ledger import Ledger
from sttgate.access.principal import Principal
from sttgate.admission import MYSELF, Admission, Caller, Deadlines
from sttgate.config import Config
from sttgate.config.model import LimitsConfig, RetentionConfig, UploadsConfig
from sttgate.conversations import in_spool
from sttgate.errors import ErrorCode, RequestError
from sttgate.lineup import Lineup, Skipped, StartupError
from sttgate.loop_lag import watch_loop_lag
from sttgate.plugins import Plugins
from sttgate.readiness import Readiness, StoreWatch
from sttgate.retention import Retention
from sttgate.session.chain import Chain, ConfiguredProvider
from sttgate.session.entries import StopReason
from sttgate.session.params import SessionParams, dump_params
from sttgate.session.recovery import reopen
from sttgate.session.session import Past, Session
from sttgate.session.spool import Spool, SpoolFolder
from sttgate.session.tally import Tally
from sttgate.session.tracing import Tracing
from sttgate.stores import RecordingStore, TranscriptStore
from sttgate.uploads.uploads import Uploads
from sttgate.workers.peers import Alone, Peers

log = structlog.get_logger(__name__)

DRAIN_TIMEOUT = 25.0  # seconds
DEADLINE_INTERVAL = 1.0  # seconds
RECOVERY_INTERVAL = 60.0  # seconds between two looks for sessions another process left behind


class Gateway:
    """Admits, opens and drains sessions. Build it with ``from_config``, then ``open``."""

    def __init__(
        self,
        lineup: Lineup,
        transcripts: TranscriptStore,
        recordings: RecordingStore,
        spool: Spool,
        min_free_bytes: int = 0,
        max_sessions: int = sys.maxsize,
        limits: LimitsConfig | None = None,
        retention: RetentionConfig | None = None,
        uploads: UploadsConfig | None = None,
        plugins: Plugins | None = None,
        warnings: Iterable[str] = (),
        ledger: Ledger | None = None,
        peers: Peers | None = None,
    ) -> None:
        self.lineup = lineup
        self.peers = peers or Alone()
        self.plugins = plugins or Plugins()
        self.warnings = tuple(warnings)
        self.transcripts = transcripts
        self.recordings = recordings
        self._stores = StoreWatch(spool, transcripts, recordings)
        self.sessions: dict[str, Session] = {}
        self.ready = True
        self.draining = False
        self.spool = spool
        self.tally = Tally()
        self.tracing: Tracing | None = None
        self._min_free_bytes = min_free_bytes
        self.admission = Admission(limits or LimitsConfig.model_validate({}), max_sessions, ledger)
        self.uploads = Uploads(uploads or UploadsConfig.model_validate({}), self)
        self._retention = Retention(
            retention or RetentionConfig.model_validate({}), transcripts, recordings, self.holds
        )
        self._running: dict[str, asyncio.Task[None]] = {}
        self._chores: list[asyncio.Task[None]] = []
        self._retired: set[ConfiguredProvider] = set()
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def providers(self) -> Mapping[str, ConfiguredProvider]:
        """The providers of the configuration that have what they need, by name."""
        return self.lineup.providers

    @property
    def chain(self) -> Chain:
        """Who is asked when a session names nobody, in this order."""
        return self.lineup.chain

    @property
    def skipped(self) -> Sequence[Skipped]:
        """Who is in the chain of the configuration and has not what it needs."""
        return self.lineup.skipped

    @classmethod
    def from_config(
        cls, config: Config, ledger: Ledger | None = None, peers: Peers | None = None
    ) -> Gateway:
        """Build every provider and store; NoProvider when none of the chain is usable.

        ``ledger`` and ``peers`` are those of a worker, which is not alone.
        """
        lineup = Lineup.from_config(config)
        return cls(
            lineup,
            config.transcripts.spec.factory(config.transcripts.options),
            config.recordings.spec.factory(config.recordings.options),
            Spool(config.spool.path, config.spool.sync_interval_s),
            min_free_bytes=config.spool.min_free_mb * 1024**2,
            max_sessions=config.server.max_sessions,
            limits=config.limits,
            retention=config.retention,
            uploads=config.uploads,
            plugins=config.plugins,
            warnings=map(str, config.warnings),
            ledger=ledger,
            peers=peers,
        )

    async def open(self) -> None:
        """Open spool and stores, and start to open the chain's providers in the background.

        Raises StoreError or StartupError that says what to do; nothing is left open then.
        """
        try:
            await self.spool.open()
        except OSError as error:
            await self.spool.close()
            raise StartupError(
                f"the spool folder {self.spool.path} cannot be used: {error.strerror}; "
                "make it writable or set another 'spool.path' in the configuration"
            ) from error
        try:
            await self.transcripts.open()
            try:
                await self.recordings.open()
            except BaseException:
                await self.transcripts.close()
                raise
        except BaseException:
            await self.spool.close()
            raise
        for provider in self.chain:
            provider.open_in_background()
        await self.uploads.take_up()
        self._chores = [
            asyncio.create_task(self._recover(), name="recovery"),
            asyncio.create_task(self._end_overdue(), name="deadlines"),
            asyncio.create_task(self._retention.run(), name="retention"),
            asyncio.create_task(watch_loop_lag(self.tally.loop_lag), name="loop lag"),
        ]

    async def close(self) -> None:
        """Stop every session, wait until it is stored, and let go of everything."""
        for chore in self._chores:
            chore.cancel()
        if self._chores:
            await asyncio.wait(self._chores)
        self.uploads.stop()
        await self.drain("shutdown")
        await self.uploads.close()
        for provider in {*self.providers.values(), *self._retired}:
            await provider.close()
        if self._closing:
            await asyncio.wait(self._closing)
        await self.spool.close()
        await self.recordings.close()
        await self.transcripts.close()

    def reconfigure(self, config: Config) -> None:
        """Use providers, chain, limits, room to keep free and retention of ``config`` for new sessions.

        Running sessions go on with what they have; a provider that is gone or changed is closed when
        the last of them is over. Raises NoProvider, and then nothing has changed.
        """
        before, self.lineup = self.lineup, Lineup.from_config(config, self.lineup)
        kept = set(self.providers.values())
        self._retired |= {p for p in before.providers.values() if p not in kept}
        for provider in self.chain:
            provider.open_in_background()
        self.admission.use(config.limits, config.server.max_sessions)
        self._min_free_bytes = config.spool.min_free_mb * 1024**2
        self._retention.config = config.retention
        self.plugins, self.warnings = config.plugins, tuple(map(str, config.warnings))
        self._close_retired()

    def _close_retired(self) -> None:
        used = {provider for session in self.sessions.values() for provider in session.chain}
        for provider in self._retired - used:
            self._retired.discard(provider)
            task = asyncio.create_task(provider.close(), name=f"close {provider.name}")
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def open_session(self, params: SessionParams, caller: Caller = MYSELF) -> Session:
        """Open a session; RequestError when it cannot be had."""
        try:
            return await self._open_session(params, caller)
        except RequestError as error:
            self.tally.rejected[error.code] += 1
            raise

    def check_params(self, params: SessionParams) -> None:
        """Raise RequestError when no session could be had with ``params``."""
        self._refuse_while_draining()
        self._chain_for(params)

    async def has_room_for(self, size: int) -> bool:
        """Whether the spool has room for ``size`` bytes beyond what is kept free; OSError without one."""
        return await self.spool.free_bytes() - size >= self._min_free_bytes

    async def _open_session(self, params: SessionParams, caller: Caller) -> Session:
        self._refuse_while_draining()
        await self.admission.enter(params.id, caller)
        try:
            chain = self._chain_for(params)
            if not any(provider.has_room for provider in chain):
                raise RequestError(
                    ErrorCode.CAPACITY, "No speech engine has room. Try again later."
                )
            folder = await self._folder_for(params)
        except BaseException:
            self.admission.leave(params.id)
            raise
        return self._run_session(params, chain, folder)

    async def _folder_for(self, params: SessionParams) -> SpoolFolder:
        try:
            # Refuse new sessions while there is still room for the running ones.
            if not await self.has_room_for(0):
                log.error("spool_full", path=str(self.spool.path))
                raise RequestError(ErrorCode.CAPACITY, "The service is full. Try again later.")
            folder = await self.spool.create(params.id, dump_params(params))
        except OSError as error:
            log.error("spool_create_failed", error=os.strerror(error.errno or 0))
            raise RequestError(
                ErrorCode.STORAGE_FAILED, "The service cannot store audio at the moment."
            ) from error
        try:
            self._refuse_while_draining()
        except RequestError:
            await self.spool.remove(folder)
            await self.spool.run(folder.close)
            raise
        return folder

    def _refuse_while_draining(self) -> None:
        if self.draining:
            raise RequestError(ErrorCode.SHUTDOWN, "The service is restarting. Try again.")

    def _run_session(
        self, params: SessionParams, chain: Chain, folder: SpoolFolder, past: Past | None = None
    ) -> Session:
        session = Session(
            params,
            chain,
            self.spool,
            folder,
            self.transcripts,
            self.recordings,
            self.tally,
            past,
            self.tracing(params) if self.tracing is not None else None,
        )
        self.sessions[session.id] = session
        self.peers.hold("session", session.id)
        task = asyncio.create_task(session.run(), name=f"session {session.id}")
        self._running[session.id] = task
        task.add_done_callback(lambda task: self._forget(session.id, task))
        return session

    def holds(self, session_id: str) -> bool:
        """Whether a session runs, here or in another process, or is still to be recovered."""
        return session_id in self.sessions or in_spool(self.spool.path, session_id)

    @property
    def welcomes(self) -> bool:
        """Whether new sessions should come here, as far as they can be stored."""
        return self.ready and not self.draining

    async def readiness(self) -> Readiness:
        """Ask the stores, and say whether new sessions should come here."""
        stores = await self._stores.check()
        outages = [session.store_outage_s for session in self.sessions.values()]
        return Readiness(
            stores=stores,
            draining=not self.welcomes,
            full=await self.admission.is_full(),
            outage_s=max([self._stores.outage_s, *outages]),
        )

    def find_resumable(self, session_id: str, token: str) -> Session | None:
        """Return the live session with this id if the token is its own."""
        session = self.sessions.get(session_id)
        expected = session.resume_token if session is not None else None
        # The same work for an unknown id as for a wrong token.
        if compare_digest(token.encode(), (expected or "").encode()) and expected:
            self.tally.resumes += 1
            return session
        return None

    def cut_off(self, holds: Callable[[Principal], bool]) -> None:
        """End the sessions of principals that no longer hold."""
        for session_id, caller in self.admission.callers().items():
            if not holds(caller.principal) and (session := self.sessions.get(session_id)):
                session.stop("client")
                session.release()
        self.uploads.cut_off(holds)

    async def drain(self, reason: StopReason, timeout: float = DRAIN_TIMEOUT) -> None:
        """Refuse new sessions, stop the running ones, return when all are stored.

        What takes longer than ``timeout`` seconds is left to the next start.
        """
        self.draining = True
        self.uploads.stop()
        for session in self.sessions.values():
            session.stop(reason)
            session.release()
        if not self._running:
            return
        _, late = await asyncio.wait(set(self._running.values()), timeout=timeout)
        for task in late:
            # What is not stored lies in the spool, and the next start takes it up.
            task.cancel()
        if late:
            log.warning("drain_cut_short", sessions=len(late))
            await asyncio.wait(late)

    async def _end_overdue(self) -> None:
        """End the sessions that nobody speaks in any more, and those that would never end."""
        deadlines = Deadlines()
        while True:
            await asyncio.sleep(DEADLINE_INTERVAL)
            for session, reason in deadlines.overdue(
                list(self.sessions.values()), self.admission.limits
            ):
                session.end_overdue(reason)

    async def _recover(self) -> None:
        """Bring what a crash left in the spool to its end, one session after the other.

        Look again now and then: a process that drains beside this one may leave something too.
        """
        while True:
            await self.uploads.take_up()
            try:
                left = await self.spool.left_behind()
            except OSError as error:
                log.error("spool_unreadable", path=str(self.spool.path), error=error.strerror)
                left = []
            for session_id in left:
                if session_id in self.sessions:
                    continue
                try:
                    await self._recover_session(session_id)
                except Exception:  # what is wrong with one must not keep the others
                    log.exception("recovery_failed", session=session_id)
            await asyncio.sleep(RECOVERY_INTERVAL)

    async def _recover_session(self, session_id: str) -> None:
        found = await reopen(self.spool, session_id)
        if found is None:
            return
        params, folder, past = found
        log.info("session_recovered", session=session_id)
        session = self._run_session(params, self._chain_or_all(params), folder, past)
        session.stop("shutdown")
        await asyncio.wait({self._running[session_id]})

    def _chain_or_all(self, params: SessionParams) -> Chain:
        try:
            return self._chain_for(params)
        except RequestError:
            return self.chain  # its provider is no longer configured

    def _chain_for(self, params: SessionParams) -> Chain:
        chain: Chain = self.chain
        if params.provider is not None:
            if (provider := self.providers.get(params.provider)) is None:
                raise RequestError(
                    ErrorCode.UNKNOWN_PROVIDER, f"There is no provider {params.provider!r} here."
                )
            # Who names a provider means it, perhaps for privacy: no other one steps in.
            chain = (provider,)
        if (language := params.stream.language) is not None:
            chain = tuple(p for p in chain if _speaks(p, language))
            if not chain:
                raise RequestError(
                    ErrorCode.UNSUPPORTED_LANGUAGE, f"The language {language!r} is not supported."
                )
        return chain

    def _forget(self, session_id: str, task: asyncio.Task[None]) -> None:
        self.sessions.pop(session_id, None)
        self.admission.leave(session_id)
        self.peers.release("session", session_id)
        self._running.pop(session_id, None)
        if self._retired:
            self._close_retired()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("session_crashed", session=session_id, exc_info=error)


def _speaks(provider: ConfiguredProvider, language: str) -> bool:
    """Whether the provider takes a BCP-47 tag; ``en`` and ``en-GB`` match each other."""
    languages = provider.provider.capabilities.languages
    if languages is None or language == "auto":
        return True
    primary = language.lower().split("-")[0]
    for known in languages:
        if known.lower() == language.lower():
            return True
        if known.lower().split("-")[0] == primary and "-" not in (
            known if "-" in language else language
        ):
            return True
    return False
