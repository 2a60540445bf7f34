"""Is what came all there is? The source of a study is asked before the study counts as complete.

The source is the node that the study was pulled from, or the node whose AE title sent it. It is asked for the SOP Instance
UIDs of each series; where it does not answer at image level, for its counts. Until the answer is here the study waits, and so
it does while what is missing is being pulled.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from appliance.errors import RanvierError, Retry
from appliance.events import StudyIncomplete
from appliance.receive.nodes import find, web
from appliance.receive.nodes.find import Query
from appliance.receive.nodes.pull import Nodes
from appliance.receive.nodes.session import session
from appliance.receive.section import Node
from appliance.records import events, identities, pulls
from appliance.records.engine import Records
from appliance.records.identities import Sealer
from appliance.records.pulls import CompletenessRow, Wanted
from appliance.records.studies import StudyRow

log = logging.getLogger(__name__)

MOST_PULLS = 3
MOST_ASKED = 3
WAIT_MS = 10_000


class Holding(msgspec.Struct, kw_only=True, frozen=True):
    """What a node holds of one series."""

    series_uid: str
    sop_uids: frozenset[str] = frozenset()
    count: int | None = None
    """What it says that the series holds; it may name fewer."""


class Gap(msgspec.Struct, kw_only=True, frozen=True):
    """What of a series is not here."""

    holding: Holding
    named: tuple[str, ...] = ()
    """The SOP Instance UIDs that are missing."""
    missing: int = 0
    """How many are, also where the node names none of them."""

    @property
    def expected(self) -> int | None:
        """How many instances the node holds; None when it said neither names nor a number."""
        known = max(len(self.holding.sop_uids), self.holding.count or 0)
        return known if known or self.holding.count is not None else None


class Completion:
    """Asks for one receiving process."""

    def __init__(self, keys: Sealer, records: Records, nodes: Nodes, *, clock: Callable[[], int]) -> None:
        self._keys = keys
        self._records = records
        self._nodes = nodes
        self._clock = clock
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._tries: dict[str, tuple[int, int]] = {}
        """Study -> how often its source did not answer, and when it is asked again."""

    async def ready(self, study: StudyRow) -> bool:
        """Whether a quiet study may become stable; begins to ask when nobody has asked about it as it is now."""
        node = await self._source(study)
        if node is None:
            return True
        if study.id in self._asking:
            task = self._asking[study.id]
            if not task.done():
                return False
            del self._asking[study.id]
            task.result()
        if await pulls.open_for(study.uid_key):
            return False
        said = await pulls.completeness(study.id)
        if said is not None and said.row_version == study.row_version:
            self._tries.pop(study.id, None)
            return True
        if self._clock() >= self._tries.get(study.id, (0, 0))[1]:
            self._asking[study.id] = asyncio.create_task(self._ask(study, node, said))
        return False

    async def _source(self, study: StudyRow) -> Node | None:
        configured = [one for one in (await self._nodes()).everyone if one.completeness != "off"]
        if not configured:
            return None
        name = await pulls.source_of(study.uid_key)
        if name:
            return next((one for one in configured if one.name == name), None)
        return next((one for one in configured if one.called_ae and one.called_ae == study.sender), None)

    async def _ask(self, study: StudyRow, node: Node, before: CompletenessRow | None) -> None:
        identity = await identities.get(self._keys, study.id)
        if identity is None:
            return
        held_series, held = await pulls.held(self._records, study.id)

        def here(series_uid: str) -> bool:
            return node.compare == "study" or pulls.series_key(self._keys, series_uid) in held_series

        try:
            holdings = await asyncio.to_thread(ask, node, identity.study_instance_uid, here)
        except RanvierError as fault:
            await self._unanswered(study, node, fault)
            return
        gaps = [
            gap(one, held_series.get(pulls.series_key(self._keys, one.series_uid), 0), held, partial(pulls.sop_key, self._keys))
            for one in holdings
        ]
        row = compared(study, node, gaps, before, self._clock())
        # A round that brought nothing would bring nothing again.
        brought = before is None or before.pulls == 0 or row.held > before.held
        if row.state == "missing" and node.completeness == "pull" and brought and row.pulls < MOST_PULLS:
            wanted = lacking(identity.study_instance_uid, gaps)
            await pulls.add(self._keys, node.name, wanted, reason="missing", owner="completeness", now=self._clock())
            # Not of this row version: it is asked again when the pulls have ended, whatever they brought.
            row = msgspec.structs.replace(row, pulls=row.pulls + 1, row_version=0)
        await self._save(study, row)

    async def _unanswered(self, study: StudyRow, node: Node, fault: RanvierError) -> None:
        count = self._tries.get(study.id, (0, 0))[0] + 1
        log.warning("the source of a study cannot be asked: %s", fault.what, extra={"study": study.id, "code": fault.code})
        if isinstance(fault, Retry) and count < MOST_ASKED:
            self._tries[study.id] = (count, self._clock() + WAIT_MS * count)
            return
        row = CompletenessRow(
            study=study.id,
            node=node.name,
            state="unknown",
            row_version=study.row_version,
            expected=None,
            held=study.instances,
            missing=0,
            pulls=0,
            detail=fault.what,
            asked_at=self._clock(),
        )
        await self._save(study, row)

    async def _save(self, study: StudyRow, row: CompletenessRow) -> None:
        async with self._records.transaction():
            await pulls.save_completeness(self._records, row)
            if row.state == "missing" and row.expected is not None:
                event = StudyIncomplete(study=study.id, node=row.node, held=row.held, expected=row.expected)
                await events.append(event, self._clock())


def ask(node: Node, study_uid: str, here: Callable[[str], bool]) -> list[Holding]:
    """What a node holds of the series of a study that `here` lets through; raises `NodeAway` and `QueryRefused`."""
    with session(node) as asking:
        series = asking.all(Query(level="SERIES", study_uid=study_uid))
        return [
            _holding(asking, study_uid, one.series_uid, one.instances)
            for one in series
            if one.series_uid and here(one.series_uid)
        ]


def _holding(asking: find.Session | web.Session, study_uid: str, series_uid: str, count: int | None) -> Holding:
    try:
        images = asking.all(Query(level="IMAGE", study_uid=study_uid, series_uid=series_uid))
    except find.QueryRefused:
        return Holding(series_uid=series_uid, count=count)
    return Holding(series_uid=series_uid, sop_uids=frozenset(one.sop_uid for one in images if one.sop_uid), count=count)


def gap(holding: Holding, here: int, held: set[str], key: Callable[[str], str]) -> Gap:
    """Compares a series at the node with the `here` instances of it that we hold; `held` are the keys of all of the study.

    Archives limit how many instances they name, silently: one that counts more than it names is believed its number.
    """
    named = tuple(sorted(uid for uid in holding.sop_uids if key(uid) not in held))
    beyond = (holding.count or 0) > len(holding.sop_uids)
    missing = max(len(named), (holding.count or 0) - here) if beyond else len(named)
    return Gap(holding=holding, named=named, missing=missing)


def compared(study: StudyRow, node: Node, gaps: Sequence[Gap], before: CompletenessRow | None, now: int) -> CompletenessRow:
    """The answer as a row: whole, missing, or unknown when the node named neither instances nor counts of a series."""
    counts = [one.expected for one in gaps]
    missing = sum(one.missing for one in gaps)
    known = bool(counts) and (missing > 0 or all(one is not None for one in counts))
    expected = sum(one or 0 for one in counts) if known else None
    state = "missing" if missing else "unknown" if expected is None else "whole"
    return CompletenessRow(
        study=study.id,
        node=node.name,
        state=state,
        row_version=study.row_version,
        expected=expected,
        held=study.instances if expected is None else expected - missing,
        missing=missing,
        pulls=before.pulls if before else 0,
        detail=_detail(gaps),
        asked_at=now,
    )


def _detail(gaps: Sequence[Gap]) -> str:
    if not gaps:
        return "it says nothing of this study"
    if any(one.expected is None for one in gaps):
        return "of some series it does not say what they hold"
    if not any(one.holding.sop_uids for one in gaps):
        return "compared by counts; it names no instances"
    if any((one.holding.count or 0) > len(one.holding.sop_uids) for one in gaps):
        return "it names fewer instances than it counts"
    return ""


def lacking(study_uid: str, gaps: Sequence[Gap]) -> list[Wanted]:
    """What to pull: the named instances of each series, or whole series where all or unnamed ones are missing."""
    found = []
    for one in gaps:
        series = (one.holding.series_uid,)
        if one.missing == len(one.named) < len(one.holding.sop_uids) and one.named:
            found.append(Wanted(study_uid=study_uid, series_uids=series, sop_uids=one.named))
        elif one.missing:
            found.append(Wanted(study_uid=study_uid, series_uids=series))
    return found
