"""Pulls at work: each is a row; whoever receives claims it, has the node send, and follows it to its end.

One pull a node at a time: a PACS is a clinical system first. A pull whose process died is taken up again by the next one,
and what came before is recognised when it comes again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial

from appliance.errors import Misconfigured, RanvierError, Retry
from appliance.events import PullDone, PullFailed
from appliance.moments import new_id
from appliance.receive.inbox import Inbox
from appliance.receive.intake import Intake
from appliance.receive.multipart import Parts
from appliance.receive.nodes import web
from appliance.receive.nodes.retrieve import Outcome, Progress, Tell, get, move
from appliance.receive.nodes.stop import Stop
from appliance.receive.part10 import Origin, prefix
from appliance.receive.posted import Taking, title
from appliance.receive.section import Node, NodesSection, PacsNode, WebNode
from appliance.records import events, pulls
from appliance.records.engine import Records
from appliance.records.identities import Sealer
from appliance.records.pulls import PullRow, Wanted
from appliance.states import RunState

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
FOLLOW_SECONDS = 0.5
LEASE_MS = 60_000

Nodes = Callable[[], Awaitable[NodesSection]]


class NoSuchNode(Misconfigured):
    """There is no PACS node called {node} in the settings any more."""

    code = "no-such-node"
    next_step = "Enter the node in the settings again, or choose another one."


class NotAllSent(Retry):
    """The PACS node {node} could not send {failed} of {total} instances."""

    code = "not-all-sent"
    next_step = "See the node's own log; what came is kept."


class Puller:
    """Carries out the pulls of one receiving process."""

    def __init__(
        self, keys: Sealer, records: Records, inbox: Inbox, intake: Intake, nodes: Nodes, *, clock: Callable[[], int]
    ) -> None:
        self._keys = keys
        self._records = records
        self._inbox = inbox
        self._intake = intake
        self._nodes = nodes
        self._clock = clock
        self._running: dict[str, asyncio.Task[None]] = {}
        self._open: set[str] = set()

    @property
    def associations(self) -> set[str]:
        """The associations of C-GET that are open, by our identifiers."""
        return set(self._open)

    async def run(self) -> None:
        """Claims and carries out until it is cancelled; what runs then is taken up by the next process."""
        try:
            while True:
                try:
                    await self._look()
                except Exception as fault:
                    # An edge of the process: a database that is away must not end pulling.
                    log.error("looking for pulls failed: %s", type(fault).__name__, extra={"code": "pull-failed"})
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            for task in self._running.values():
                task.cancel()

    async def _look(self) -> None:
        self._running = {node: task for node, task in self._running.items() if not task.done()}
        row = await pulls.claim(
            self._records, worker=self._inbox.id, now=self._clock(), lease_ms=LEASE_MS, busy=list(self._running)
        )
        if row is not None:
            self._running[row.node] = asyncio.create_task(self._carry_out(row))

    async def _carry_out(self, row: PullRow) -> None:
        section = await self._nodes()
        try:
            outcome = await self._retrieved(row, section)
        except RanvierError as fault:
            await self._failed(row, section, fault)
        except Exception as fault:
            # An edge of the process towards a peer: what nobody foresaw ends this pull and no other.
            log.exception("a pull failed unexpectedly", extra={"code": "internal"})
            await self._failed(row, section, RetryUnforeseen(node=row.node, kind=type(fault).__name__))
        else:
            state = RunState.CANCELLED if outcome.cancelled else RunState.DONE
            await self._ended(row, state, outcome)

    async def _retrieved(self, row: PullRow, section: NodesSection) -> Outcome:
        node = next((one for one in section.everyone if one.name == row.node), None)
        if node is None:
            raise NoSuchNode(field="nodes.nodes", node=row.node)
        wanted = await pulls.wanted(self._keys, row.id)
        following = _Following(self._records, row, self._clock)
        outcome = await following.until(partial(self._fetch, node, wanted, following.tell, following.stop))
        failed = outcome.progress.failed
        if failed and not outcome.cancelled:
            raise NotAllSent(node=row.node, failed=failed, total=failed + outcome.progress.completed)
        return outcome

    def _fetch(self, node: Node, wanted: Wanted, tell: Tell, stop: Stop) -> Outcome:
        """In a thread of its own."""
        if isinstance(node, PacsNode) and node.retrieve == "move":
            return move(node, wanted, to=node.calling_ae, tell=tell, stop=stop)
        if isinstance(node, WebNode):
            return web.retrieve(node, wanted, takes=partial(self._taking, node), tell=tell, stop=stop)
        with self._taking(node, None) as taking:
            return get(node, wanted, keep=partial(_kept, taking), tell=tell, stop=stop)

    @contextmanager
    def _association(self, node: Node) -> Iterator[str]:
        """What an instance comes by that we asked for: the studies that it brings stay open meanwhile."""
        association = new_id(self._clock())
        self._open.add(association)
        self._intake.opened(association, node.called_ae or title(node.name))
        try:
            yield association
        finally:
            self._open.discard(association)
            self._intake.ended(association)

    @contextmanager
    def _taking(self, node: Node, parts: Parts | None) -> Iterator[Taking]:
        """For one answer; each has an association of its own, because a journal is one association's."""
        address = node.host if isinstance(node, PacsNode) else ""
        sender = title(node.called_ae or node.name)
        known = Origin(sop_class="", sop_instance="", transfer_syntax="", sender=sender, address=address)
        with self._association(node) as association:
            taking = Taking(parts, self._inbox.journal(association), self._intake, self._inbox, known, "")
            try:
                yield taking
            finally:
                taking.close()

    async def _ended(self, row: PullRow, state: RunState, outcome: Outcome) -> None:
        now, done = self._clock(), outcome.progress
        words = "cancelled" if outcome.cancelled else ""
        if done.completed:
            await pulls.follow(
                self._records, row, now=now, lease_ms=LEASE_MS, remaining=0, completed=done.completed, failed=done.failed
            )
        if await pulls.end(self._records, row, state, now=now, detail=words, warnings=done.warnings):
            rest = " and was asked to stop" if outcome.cancelled else ""
            await events.append(PullDone(node=row.node, completed=done.completed, rest=rest), now)

    async def _failed(self, row: PullRow, section: NodesSection, fault: RanvierError) -> None:
        now = self._clock()
        again = isinstance(fault, Retry) and row.attempt < section.pull_attempts
        wait = min(section.first_wait_s * 2 ** (row.attempt - 1), 3600) * 1000
        state = RunState.PENDING if again else RunState.FAILED
        log.warning("a pull from %s failed: %s", row.node, fault.what, extra={"code": fault.code})
        ended = await pulls.end(self._records, row, state, now=now, detail=fault.what, not_before=now + wait)
        if ended and not again:
            await events.append(PullFailed(node=row.node, what=fault.what), now)


def _kept(taking: Taking, origin: Origin, data: bytes) -> int:
    """Makes an instance of C-GET durable through the journal; gives the status to answer."""
    taking.feed(prefix(origin))
    taking.feed(data)
    taking.finish()
    return taking.outcomes[-1].status


class RetryUnforeseen(Retry):
    """The pull from {node} broke off with an unexpected {kind}."""

    code = "internal"


class _Following:
    """Keeps a pull's row up to date while a thread retrieves, and has the node stop when somebody cancels."""

    def __init__(self, records: Records, row: PullRow, clock: Callable[[], int]) -> None:
        self._records = records
        self._row = row
        self._clock = clock
        self._progress = Progress()
        self.stop = Stop()

    def tell(self, progress: Progress) -> None:
        """From the thread: how far it is."""
        self._progress = progress

    async def until(self, retrieve: Callable[[], Outcome]) -> Outcome:
        """Runs `retrieve` in a thread and follows it; when it is cancelled itself, the node is asked to stop too."""
        task = asyncio.create_task(asyncio.to_thread(retrieve))
        try:
            while not (await asyncio.wait({task}, timeout=FOLLOW_SECONDS))[0]:
                if not await self._follow():
                    self.stop.ask()
            return task.result()
        finally:
            self.stop.ask()

    async def _follow(self) -> bool:
        said = self._progress
        return await pulls.follow(
            self._records,
            self._row,
            now=self._clock(),
            lease_ms=LEASE_MS,
            remaining=said.remaining,
            completed=said.completed,
            failed=said.failed,
        )
