"""Being the cloud: connections and orders of the hub's clients, carried into the corridor and back (CLD-05).

An order of a client becomes one of ours when it was asked to run and its study is filed whole; what it then goes through is
what every order goes through. `Host` is what the process that answers clients holds.
"""

import asyncio
import logging
from typing import Any
from uuid import uuid4

import msgspec

from appliance import pipeline, sought, steps
from appliance.access.permissions import may
from appliance.access.tokens import caller_of, recognise_token
from appliance.compute.local import StageDied, StageEnded, run_stage
from appliance.errors import Conflict, RanvierError, Unknown
from appliance.house import House
from appliance.hub import answers
from appliance.hub.errors import (
    ApiKeyUnknown,
    BucketNotFound,
    ConnectionOver,
    DatasetClosed,
    DatasetInUse,
    FormatUnknown,
    HubOff,
    NoConnection,
    NoDataset,
    NoResults,
    NoUsagesLeft,
    ProductNotFound,
    QcBroken,
    QcInProgress,
)
from appliance.hub.session import session_key
from appliance.hub_intake import own, sender_of
from appliance.keys import KeyPair
from appliance.moments import id_of_digest, iso, now_ms
from appliance.products import offered
from appliance.receive.stable import force_stable
from appliance.records import hub, orders, reports, studies, users
from appliance.records.hub import HubOrderRow
from appliance.records.orders import OrderRow
from appliance.records.studies import StudyRow
from appliance.reports.content import ProductSection, RenderAnswer, RenderRequest, ReportContent, Row, file_name
from appliance.states import ORDER_FACTS, OrderState, StudyState
from appliance.storage import remove_folder

TEST_ORDER = "TEST"
"""An order that every key sees: finished, with results in every format."""
PERMISSION = "hub.use"
HOUR_MS = 3_600_000
FILED_WITHIN_MS = 10 * 60_000
"""How long a dataset that is asked to run may take until all of it is filed."""
_DONE = (OrderState.REPORTED, OrderState.DELIVERED)
_REACHED = {OrderState.QC: 2, OrderState.QUEUED: 10, OrderState.DEIDENTIFIED: 15, OrderState.PROCESSED: 95}

log = logging.getLogger(__name__)


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """Who speaks: the API key's token, its name for the audit, and the session's key."""

    token: str
    name: str
    key: bytes


class Host:
    """What one process holds to answer clients of the hub."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._pair: KeyPair | None = None
        self._checks: dict[str, asyncio.Task[str]] = {}
        self._sample: dict[str, bytes] = {}
        self._sampling = asyncio.Lock()

    async def require_on(self) -> None:
        """Raises `HubOff`."""
        if not (await self._house.settings()).settings.hub.enabled:
            raise HubOff()

    async def pair(self) -> KeyPair:
        """The key pair of this process, made when somebody first asks."""
        if self._pair is None:
            self._pair = await asyncio.to_thread(KeyPair)
        return self._pair

    async def connect(self, api_key: str, body: bytes, now: int) -> tuple[str, Client]:
        """A new session of a key; raises `ApiKeyUnknown` and what reading the session key raises."""
        caller = await recognise_token(self._house.keys, api_key, now)
        allowed = caller and may(caller.role, PERMISSION) and (not caller.scopes or PERMISSION in caller.scopes)
        if caller is None or not allowed:
            raise ApiKeyUnknown()
        key = session_key(await self.pair(), body)
        session = str(uuid4())
        hours = (await self._house.settings()).settings.hub.session_hours
        sealed = self._house.keys.seal("hub-session", key, session)
        await hub.add_session(session, caller.id, sealed, now, now + hours * HOUR_MS)
        return session, Client(token=caller.id, name=caller.name, key=key)

    async def client(self, session: str, now: int) -> Client:
        """Who has this connection; raises `NoConnection`, `ConnectionOver`, also when the key was revoked meanwhile."""
        if not session:
            raise NoConnection()
        found = await hub.session(session, now)
        token = await users.token_by_id(found.token) if found else None
        caller = caller_of(token, now) if token else None
        if found is None or caller is None:
            raise ConnectionOver()
        return Client(token=found.token, name=caller.name, key=self._house.keys.open("hub-session", found.sealed, found.id))

    async def new_order(self, client: Client, now: int) -> str:
        """A new order of a client, empty."""
        identifier = str(uuid4())
        await hub.add_order(identifier, client.token, now)
        return identifier

    async def run(self, client: Client, order: object, product: object, now: int) -> None:
        """Asks an order to run; twice is once. Raises `NoUsagesLeft`, `BucketNotFound`, `ProductNotFound`, `NoDataset`."""
        known = await hub.order(order, client.token) if isinstance(order, str) else None
        if known is not None and known.asked_at:
            return
        if known is not None and known.refused:
            raise DatasetClosed()
        now_set = (await self._house.settings()).settings
        most = now_set.hub.runs_per_key
        if most and await hub.runs(client.token) >= most:
            raise NoUsagesLeft()
        if known is None:
            raise BucketNotFound()
        can = {name.lower(): name for name in offered(self._house.home, now_set.compute.mode)}
        found = can.get(str(product).lower())
        if found is None:
            raise ProductNotFound()
        if not known.instances:
            raise NoDataset()
        if not await hub.ask(self._house.records, known.id, client.token, found, now, most):
            raise NoUsagesLeft()

    async def status(self, client: Client, order: object) -> dict[str, Any]:
        """Where an order stands; raises `BucketNotFound`."""
        if order == TEST_ORDER:
            return answers.status(started=True, finished=True, progress=100, info="Finished")
        known = await own(order, client.token)
        if known.refused:
            return answers.status(started=True, failed=True, info=known.refused)
        if not known.asked_at:
            return answers.status(started=False, info="Waiting for job to start")
        if not known.order:
            return answers.status(started=True, progress=1, info="Analysis process queued...")
        try:
            return _status(await orders.get(known.order))
        except Unknown:
            # Its study was deleted since: clients read this sentence as an order that is over.
            raise BucketNotFound() from None

    async def results(self, client: Client, order: object, form: object) -> bytes:
        """A report in one format; raises `FormatUnknown`, `BucketNotFound`, `NoResults`."""
        wanted = answers.RESULTS.get(str(form).lower())
        if wanted is None:
            raise FormatUnknown()
        if order == TEST_ORDER:
            return (await self._samples())[wanted]
        known = await own(order, client.token)
        report = await reports.newest(known.order, "report") if known.order else None
        if report is None or wanted not in report.format_list:
            raise NoResults()
        path = self._house.storage.absolute(report.folder) / file_name(report.order, report.kind, report.version, wanted)
        try:
            await sought.unchanged(path, report.searched, wanted)
            return await asyncio.to_thread(path.read_bytes)
        except (FileNotFoundError, sought.ReportFileChanged):
            raise NoResults() from None

    async def _samples(self) -> dict[str, bytes]:
        """The report of the order TEST in every format, made once."""
        async with self._sampling:
            if not self._sample:
                folder = self._house.storage.scratch(id_of_digest(self._house.keys.digest("hub", TEST_ORDER)))
                await asyncio.to_thread(remove_folder, folder)
                await asyncio.to_thread(folder.mkdir, parents=True)
                try:
                    request = RenderRequest(
                        content=_sample_content(), out_folder=str(folder), formats=sorted(set(answers.RESULTS.values()))
                    )
                    made = msgspec.json.decode(
                        await run_stage("report", request, steps.LIGHT, progress=_quiet), type=RenderAnswer
                    )
                    self._sample = {form: (folder / name).read_bytes() for form, name in made.files.items()}
                finally:
                    await asyncio.to_thread(remove_folder, folder)
            return self._sample

    async def quality(self, client: Client, order: object, form: object) -> str:
        """What quality control says about a dataset; begun by the first call. Raises `NoDataset`, `QcInProgress` ..."""
        if order == TEST_ORDER:
            return answers.quality({"verdict": "passed", "findings": []}, str(form).lower())
        known = await own(order, client.token)
        if not known.instances:
            raise NoDataset()
        ours = await orders.get(known.order) if known.order else None
        report = (ours.qc_report if ours else "") or known.qc_report or self._checked(known.id)
        if not report:
            await self._begin_check(known)
            raise QcInProgress()
        return answers.quality(msgspec.json.decode(report), str(form).lower())

    def _checked(self, order: str) -> str:
        """What a check that was begun before has said; empty when none was. Raises `QcInProgress`, `QcBroken`."""
        task = self._checks.get(order)
        if task is None:
            return ""
        if not task.done():
            raise QcInProgress()
        del self._checks[order]
        fault = task.exception()
        if fault is None:
            return task.result()
        if isinstance(fault, RanvierError):
            raise QcBroken(cause=fault.what)
        raise QcBroken(cause=type(fault).__name__)

    async def _begin_check(self, known: HubOrderRow) -> None:
        study = await _filed(self._house, known)
        if not known.complete or study is None:
            raise DatasetInUse()
        self._checks[known.id] = asyncio.create_task(self._check(known.id, study))

    async def _check(self, order: str, study: StudyRow) -> str:
        """Quality control of a study for the default products, as an order of its own would have it."""
        now_set = (await self._house.settings()).settings
        products = pipeline.chosen(self._house, now_set, [])
        row = _unopened(order, study, products)
        work = steps.Work(self._house, now_set, row, now_ms(), asyncio.Event(), _unheard)
        try:
            found = str((await steps.check(work)).changes["qc_report"])
        except StageEnded as fault:
            raise QcBroken(cause=fault.error.what) from fault
        except StageDied as fault:
            raise QcBroken(cause=fault.what) from fault
        await hub.keep_qc(order, found)
        return found

    async def usage(self, client: Client, start: object, end: object, form: object) -> str:
        """The runs of a key between two days; raises `DatesWrong`, `FormatUnknown`, `NoMail`."""
        begin, until = answers.span(start, end)
        rows = []
        for one in await hub.asked_between(client.token, begin, until):
            told = await self.status(client, one.id)
            rows.append({"date": iso(one.asked_at), "orderId": one.id, "product": one.product, "status": told["info"]})
        return answers.usage(rows, start, end, str(form).lower())

    async def close(self) -> None:
        """Ends the checks that run."""
        for task in self._checks.values():
            task.cancel()
        await asyncio.gather(*self._checks.values(), return_exceptions=True)


def _status(row: OrderRow) -> dict[str, Any]:
    facts = ORDER_FACTS[row.state]
    if row.state in _DONE:
        return answers.status(started=True, finished=True, progress=100, info="Finished")
    if row.state is OrderState.QC_FAILED or facts.terminal:
        return answers.status(started=True, failed=True, info=row.detail or row.code or facts.word)
    progress = 20 + row.percent * 7 // 10 if row.state is OrderState.PROCESSING else _REACHED.get(row.state, 1)
    return answers.status(started=True, progress=progress, info=row.step or facts.word)


def _unopened(order: str, study: StudyRow, products: list[str]) -> OrderRow:
    """An order that is none yet, as far as quality control asks."""
    plain: dict[str, Any] = {
        name: "" if kind is str else False if kind is bool else 0 for name, kind in OrderRow.__annotations__.items()
    }
    given = {"id": order, "study": study.id, "study_version": study.version, "products": ",".join(products)}
    return msgspec.convert({**plain, "state": "QC", **given}, OrderRow, strict=False)


def _sample_content() -> ReportContent:
    number = Row(name="test", label="Test value, no result", value=1.0, unit="1")
    identifier = id_of_digest("0" * 32)
    return ReportContent(
        order=identifier,
        report=identifier,
        version=1,
        kind="test",
        study=identifier,
        study_version=1,
        made_at=iso(0),
        instances=0,
        qc_verdict="passed",
        sections=[ProductSection(product="test", version="1", title="Test of the connection", rows=[number])],
        caveats=["This is the answer to the order TEST. It belongs to no patient and holds no result."],
    )


async def _quiet(_fraction: float, _step: str) -> None:
    """Nobody watches."""


async def _unheard(_stage: str, _fraction: float, _step: str) -> None:
    """Nobody watches."""


async def _filed(house: House, known: HubOrderRow) -> StudyRow | None:
    """The study of a dataset once all of it is filed; None before. Raises `Conflict` when it is not this dataset alone."""
    here = await studies.by_uid_keys(house.records, [known.uid_key])
    if not here:
        return None
    study = await studies.get(here[known.uid_key])
    if study.sender != sender_of(known.token) or study.instances > len(known.instances):
        raise DatasetMixed()
    return study if study.instances == len(known.instances) else None


class DatasetMixed(Conflict):
    """The study holds images that this order did not upload."""

    code = "hub-dataset-mixed"
    next_step = "Upload the whole study to one order."


class NotFiled(Conflict):
    """The dataset was not filed in time, or stands in quarantine."""

    code = "hub-not-filed"
    next_step = "Look at the study in the console."


async def open_waiting(house: House, now: int) -> list[str]:
    """Opens our orders for those that were asked to run and are filed; says of the others why they never will be."""
    opened = []
    for known in await hub.waiting():
        try:
            order = await _open(house, known, now)
        except RanvierError as error:
            log.warning("an order of the hub cannot be run", extra={"code": error.code, "order": known.id})
            await hub.refuse(known.id, error.what)
            continue
        if order:
            await hub.opened(known.id, order)
            opened.append(order)
    return opened


async def _open(house: House, known: HubOrderRow, now: int) -> str:
    """One order, or nothing while its study is not ready; raises `RanvierError` when it never will be."""
    study = await _filed(house, known)
    if study is None or study.state is StudyState.QUARANTINED:
        if now - known.asked_at > FILED_WITHIN_MS:
            raise NotFiled()
        return ""
    if study.state is StudyState.RECEIVING:
        # The client has said that it is whole: there is nothing to wait for.
        await force_stable(house.records, study.id, now=now)
    return await pipeline.open_order(
        house, study.id, actor=sender_of(known.token), now=now, products=[known.product], idempotency_key=known.id
    )
