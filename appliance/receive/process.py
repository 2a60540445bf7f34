"""What `ranvier receive` runs: the listener's threads, one task that files, and a pulse that settles studies.

The listener opens before anything is swept: senders are served while the inboxes of a crashed process are still being filed.
No study becomes stable before that is done.
"""

import asyncio
import gc
import logging
import time
import warnings
from collections.abc import Awaitable, Callable

import msgspec

from appliance.certificates import WARN_DAYS, BadCertificate
from appliance.moments import now_ms
from appliance.receive import sweep
from appliance.receive.commitment import Commitments
from appliance.receive.filing import Filer
from appliance.receive.holds import Holds
from appliance.receive.inbox import Inbox, Roll, on_the_roll
from appliance.receive.intake import Audited, Intake, nobody
from appliance.receive.nodes.completeness import Completion
from appliance.receive.nodes.pull import Nodes, Puller
from appliance.receive.promised import Promises
from appliance.receive.scp import Listener
from appliance.receive.section import NodesSection, ReceiveSection
from appliance.receive.stable import Settler
from appliance.receive.tls import days_left
from appliance.records import processes, studies
from appliance.records.engine import Records
from appliance.records.identities import Sealer
from appliance.storage import Storage

log = logging.getLogger(__name__)

BEAT_SECONDS = 5.0
SETTLE_SECONDS = 1.0
DRAIN_SECONDS = 15.0
DAY_MS = 86_400_000
LAST_FILING_SECONDS = 8.0
"""Together less than the supervisor waits before it kills."""

Reload = Callable[[], Awaitable[ReceiveSection]]


async def no_nodes() -> NodesSection:
    """Without PACS nodes."""
    return NodesSection()


async def run(
    storage: Storage,
    keys: Sealer,
    records: Records,
    section: ReceiveSection,
    *,
    reload: Reload,
    stop: asyncio.Event,
    started: Callable[[int], None] = lambda port: None,
    clock: Callable[[], int] = now_ms,
    monotonic: Callable[[], float] = time.monotonic,
    drain_seconds: float = DRAIN_SECONDS,
    audited: Audited = nobody,
    nodes: Nodes = no_nodes,
) -> None:
    """Receives until `stop` is set, then lets open associations finish for `drain_seconds`; `started` is given the port.

    `reload` gives the settings in force; `audited` is told of refused
    callers, `nodes` gives the PACS nodes in force. Raises `CannotListen`.
    """
    # These libraries quote what they warn about, and standard error ends in a log too.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"py(net)?dicom\b")
    with on_the_roll(storage) as roll:
        inbox = Inbox(storage)
        holds = Holds(inbox.id)
        filer = Filer(storage, keys, records)
        filer.sets_conflicts_aside = section.conflicts == "quarantine"
        intake = Intake(storage, inbox, filer, holds, clock=clock, audited=audited)
        listener = Listener(section, inbox, intake, clock=clock)
        commitments = Commitments(storage, keys, records, listener.reporter.report, clock=clock)
        listener.commit = commitments.ask
        listener.promised = Promises(records, clock=clock).take
        puller = Puller(keys, records, inbox, intake, nodes, clock=clock)
        receiver = _Receiver(storage, records, inbox, holds, filer, intake, listener, commitments, puller, reload, clock)
        settler = Settler(records, monotonic=monotonic, ready=Completion(keys, records, nodes, clock=clock).ready)
        try:
            port = listener.start()
            log.info("listening on %s port %d as %s", section.host, port, section.ae_title)
            # What is loaded by now stays: the collector need not look at it again, and takes a few milliseconds only.
            gc.freeze()
            started(port)
            await receiver.work(section, roll, settler, stop, port)
            await receiver.drain(drain_seconds)
        finally:
            listener.stop_listening()
            inbox.close()


class _Receiver:
    """One receiving process at work."""

    def __init__(
        self,
        storage: Storage,
        records: Records,
        inbox: Inbox,
        holds: Holds,
        filer: Filer,
        intake: Intake,
        listener: Listener,
        commitments: Commitments,
        puller: Puller,
        reload: Reload,
        clock: Callable[[], int],
    ) -> None:
        self._storage = storage
        self._records = records
        self._inbox = inbox
        self._holds = holds
        self._filer = filer
        self._intake = intake
        self._listener = listener
        self._commitments = commitments
        self._section = ReceiveSection()
        self._puller = puller
        self._reload = reload
        self._clock = clock
        self._process = processes.this_process("receive", clock())
        self._filing: asyncio.Task[None] | None = None
        self._next_expiry_check = 0

    async def work(self, section: ReceiveSection, roll: Roll, settler: Settler, stop: asyncio.Event, port: int) -> None:
        """Until `stop` is set, or filing has died of something unforeseen, which is raised."""
        self._section = section
        self._process = msgspec.structs.replace(self._process, note=f"port {port}")
        work = asyncio.create_task(self._all(section, roll, settler))
        asked = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait({work, asked}, return_when=asyncio.FIRST_COMPLETED)
        for task in (work, asked):
            task.cancel()
        await asyncio.gather(work, asked, return_exceptions=True)
        if work in done:
            work.result()

    async def _all(self, section: ReceiveSection, roll: Roll, settler: Settler) -> None:
        await self._beat()
        await sweep.adopt_dead(self._storage, self._inbox, self._intake)
        if roll.alone():
            await sweep.reconcile(self._storage, self._records, self._inbox, self._intake, now=self._clock())
        await asyncio.to_thread(roll.join)
        self._filing = asyncio.create_task(self._intake.run())
        pulse = asyncio.create_task(self._pulse(section, settler))
        committing = asyncio.create_task(self._commit())
        pulling = asyncio.create_task(self._puller.run())
        try:
            await asyncio.wait({self._filing, pulse}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            pulse.cancel()
            committing.cancel()
            pulling.cancel()
        if self._filing.done():
            self._filing.result()

    async def _pulse(self, section: ReceiveSection, settler: Settler) -> None:
        next_beat = 0.0
        while True:
            try:
                if asyncio.get_running_loop().time() >= next_beat:
                    next_beat = asyncio.get_running_loop().time() + BEAT_SECONDS
                    section = await self._upkeep(section)
                if self._intake.idle:
                    for study in await settler.settle(section, now=self._clock()):
                        log.info("the study is complete", extra={"study": study})
            except Exception as fault:
                # An edge of the process: a database that is away must not end receiving.
                log.error(
                    "the receiver's pulse failed: %s", type(fault).__name__, exc_info=fault, extra={"code": "pulse-failed"}
                )
            await asyncio.sleep(SETTLE_SECONDS)

    async def _commit(self) -> None:
        """Storage commitments, answered beside all else: a peer may take its time."""
        while True:
            try:
                if self._intake.idle:
                    await self._commitments.work_off(self._section)
            except Exception as fault:
                # An edge of the process: one request must not end all others.
                log.error("a commitment failed: %s", type(fault).__name__, exc_info=fault, extra={"code": "commitment-failed"})
            await asyncio.sleep(SETTLE_SECONDS)

    async def _upkeep(self, section: ReceiveSection) -> ReceiveSection:
        """Signs of life, settings, room on the disk, associations whose end nobody told, inboxes of the dead."""
        await self._beat()
        alive = set(self._listener.open_associations()) | self._puller.associations
        # Associations that ended leave circles of references, and the collector by itself may not come by for hours.
        gc.collect()
        for association in self._holds.associations() - alive:
            self._intake.ended(association)
        await asyncio.to_thread(self._intake.look_at_disk)
        await sweep.adopt_dead(self._storage, self._inbox, self._intake)
        changed = self._section = await self._reload()
        if changed != section:
            try:
                self._listener.apply(changed)
            except BadCertificate as fault:
                log.error("the new settings are not in force: %s %s", fault.what, fault.advice, extra={"code": fault.code})
        self._filer.sets_conflicts_aside = changed.conflicts == "quarantine"
        self._warn_of_expiry(changed)
        return changed

    def _warn_of_expiry(self, section: ReceiveSection) -> None:
        """Once a day, from a month before the certificate expires."""
        now = self._clock()
        if now < self._next_expiry_check:
            return
        self._next_expiry_check = now + DAY_MS
        left = days_left(section, now)
        if left is not None and left < WARN_DAYS:
            log.warning("the TLS certificate of receiving expires in %d days", left, extra={"code": "certificate-expires"})

    async def _beat(self) -> None:
        now = self._clock()
        await processes.beat(self._process, now)
        await studies.touch_activities(self._inbox.id, now)

    async def drain(self, seconds: float) -> None:
        """No new associations; open ones may finish, then what came is filed and the process signs off."""
        await asyncio.to_thread(self._listener.stop_listening)
        end = asyncio.get_running_loop().time() + seconds
        while self._listener.open_associations() and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0.05)
        self._listener.abort_all()
        self._intake.close()
        filing = self._filing or asyncio.create_task(self._intake.run())
        try:
            await asyncio.wait_for(filing, LAST_FILING_SECONDS)
            await studies.close_activities_of(self._inbox.id)
            await processes.gone(self._process)
        except TimeoutError:
            log.warning("what is not filed yet stays in the inbox for the next receiver", extra={"code": "inbox-left"})
