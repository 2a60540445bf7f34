"""What is done in each state of an order: plain functions from an order and the settings to its next state.

They carry values between the rooms, which do not know each other, and start the heavy work as stages in child processes. They
write nothing themselves: what must be written goes into the `Move`, which `appliance.pipeline` makes true in one transaction.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from appliance.compute.local import Limits, StageEnded, run_stage
from appliance.deidentify.passport import DeidAnswer, DeidRequest, Passport, Released, SourceFile
from appliance.errors import Failed, NeedsPerson, RanvierError
from appliance.events import Event, OrderHeld, QcFailed, QcPassed
from appliance.house import House
from appliance.moments import new_id
from appliance.products import catalogue
from appliance.products.manifest import Manifest, ProductRequest, ProductResult
from appliance.qc import ages
from appliance.qc.finding import Origin, QcReport, QcRequest, SeriesFile, Verdict
from appliance.records import identities, orders, studies
from appliance.records.orders import OrderRow
from appliance.records.tables import ProductRun
from appliance.settings import Settings
from appliance.states import OrderState, RunState
from appliance.storage import publish_folder, remove_folder

LIGHT = Limits(memory_mb=4096, cores=1, timeout_s=3600)
"""Limits of stages that read headers, copy files or draw pages."""

Answer = TypeVar("Answer", bound=msgspec.Struct)


class UnknownProduct(Failed):
    """The order asks for a product that is not installed."""

    code = "unknown-product"
    next_step = "Install the product, or run the order again with one of those that Settings lists."


class NothingToProcess(Failed):
    """No series of this study is input of the product."""

    code = "nothing-to-process"
    next_step = "Check in the QC report which series were found; send the diffusion series and run the order again."


class ResiduesFound(NeedsPerson):
    """The verifier found {count} places in the de-identified copy that may identify the patient."""

    code = "residues-found"
    next_step = "Look at the named places under De-identification; adjust the profile, then retry."


@dataclass(frozen=True, slots=True)
class Work:
    """One order in the hands of one worker."""

    house: House
    settings: Settings
    row: OrderRow
    now: int
    stop: asyncio.Event
    say: Callable[[str, float, str], Awaitable[None]]

    async def stage(self, name: str, request: msgspec.Struct, limits: Limits, answer: type[Answer]) -> Answer:
        """Runs a stage for this order and gives its typed answer."""

        async def progress(fraction: float, step: str) -> None:
            await self.say(name, fraction, step)

        await self.say(name, 0.0, "starting")
        kept = limits if self.settings.compute.limits else msgspec.structs.replace(limits, memory_mb=0, cores=0)
        raw = await run_stage(name, request, kept, progress=progress, stop=self.stop)
        return msgspec.json.decode(raw, type=answer)


@dataclass(frozen=True, slots=True)
class Move:
    """Where an order goes next, and what is written in the same transaction."""

    to: OrderState
    events: list[Event] = field(default_factory=list)
    changes: dict[str, Any] = field(default_factory=dict)
    writes: Callable[[], Awaitable[None]] | None = None


def manifests(row: OrderRow) -> list[Manifest]:
    """The products of an order; raises `UnknownProduct`."""
    known = catalogue()
    if any(one not in known for one in row.product_list):
        raise UnknownProduct()
    return [known[one] for one in row.product_list]


async def check(work: Work) -> Move:
    """QC: are these studies fit for the products? To QUEUED or QC_FAILED."""
    row = work.row
    given = _given(row)
    request = QcRequest(
        order=row.id,
        files=await _files(work),
        protocols={one.id: msgspec.to_builtins(one.protocol) for one in manifests(row)},
        given=given,
        switched_off=list(work.settings.qc.switched_off),
    )
    report = await work.stage("qc", request, LIGHT, QcReport)
    failed = [one.title for one in report.findings if one.verdict is Verdict.FAILED]
    changes = {
        "qc_verdict": str(report.verdict),
        "qc_report": msgspec.json.encode(report).decode(),
        "inputs": msgspec.json.encode(report.inputs).decode(),
        "metadata": msgspec.json.encode(report.metadata).decode(),
        "age_years": _age_years(report),
    }
    if report.verdict is Verdict.FAILED:
        event: Event = QcFailed(study=row.study, order=row.id, failed=", ".join(failed))
        return Move(OrderState.QC_FAILED, [event], {**changes, "code": "qc-failed", "detail": ", ".join(failed)})
    bypassed = report.counted(Verdict.BYPASSED)
    passed = len(report.findings) - bypassed
    event = QcPassed(study=row.study, order=row.id, passed=passed, checks=len(report.findings), bypassed=bypassed)
    return Move(OrderState.QUEUED, [event], changes)


def _age_years(report: QcReport) -> int | None:
    """The settled age in whole years, kept in a column of its own so that lists can be filtered by it."""
    age = ages.normalised(report.metadata.get("age", Origin()).value)
    return int(ages.in_years(age)) if age else None


async def deidentify(work: Work) -> Move:
    """De-identification of the products' input series, with proof; to DEIDENTIFIED, or HELD when something is left."""
    row, house = work.row, work.house
    inputs = msgspec.json.decode(row.inputs or "{}", type=dict[str, list[str]])
    wanted = {series for product in row.product_list for series in inputs.get(product, [])}
    files = [
        SourceFile(instance=one.instance, series=one.series, path=one.path)
        for one in await _files(work)
        if one.series in wanted
    ]
    if not files:
        raise NothingToProcess()
    study = await studies.get(row.study)
    folder = house.storage.deidentified(row.study, row.study_version, row.id)
    request = DeidRequest(
        order=row.id,
        files=files,
        out_folder=str(folder),
        pseudonym=study.pseudonym or house.keys.digest("patient", row.study),
        secret=house.keys.derive("deidentify").hex(),
        section=msgspec.to_builtins(work.settings.deidentify),
        given={name: one.value for name, one in _given(row).items()},
    )
    answer = await work.stage("deidentify", request, LIGHT, DeidAnswer)
    passport = msgspec.json.encode(answer.passport).decode()
    if not answer.passport.clean:
        error = ResiduesFound(count=len(answer.passport.residues))
        return Move(OrderState.HELD, [_held(row, error)], {"passport": passport, "code": error.code, "detail": error.what})

    async def writes() -> None:
        await identities.put_linking(house.keys, row.study, answer.linking)

    return Move(OrderState.DEIDENTIFIED, [], {"passport": passport}, writes)


async def begin(work: Work) -> Move:
    """One row for each product run; to PROCESSING."""
    row = work.row
    existing = {run.product for run in await orders.runs(row.id)}
    rows = [
        ProductRun(id=new_id(), order=row.id, product=one.id, product_version=one.version, state=str(RunState.PENDING))
        for one in manifests(row)
        if one.id not in existing
    ]

    async def writes() -> None:
        await orders.add_runs(rows)

    return Move(OrderState.PROCESSING, [], {}, writes)


async def process(work: Work) -> Move:
    """The product runs that are not done yet, one after another; to PROCESSED when one is done, else FAILED."""
    row = work.row
    from appliance.deidentify.verifier import release

    passport = msgspec.json.decode(row.passport, type=Passport)
    released = await asyncio.to_thread(release, work.house.storage.deidentified(row.study, row.study_version, row.id), passport)
    last: StageEnded | None = None
    for run in await orders.runs(row.id):
        if run.state in (RunState.DONE, RunState.FAILED):
            continue
        try:
            await _run_product(work, run, released)
        except StageEnded as ended:
            if ended.error.kind not in ("failed", "needs-person"):
                raise
            last = ended
            await _settle_run(work, run, RunState.FAILED, {"code": ended.error.code, "detail": ended.error.what})
    done = [run for run in await orders.runs(row.id) if run.state is RunState.DONE]
    if not done and last is not None:
        raise last
    if not done:
        raise NothingToProcess()
    return Move(OrderState.PROCESSED)


async def _run_product(work: Work, run: orders.RunRow, released: Released) -> None:
    row, storage = work.row, work.house.storage
    manifest = catalogue()[run.product]
    compute = work.settings.compute
    cores = compute.cores or manifest.cores
    memory = compute.memory_mb or manifest.memory_mb
    final = storage.products(row.study, row.study_version, row.id, run.product)
    draft = storage.scratch(run.id)
    remove_folder(draft)
    draft.mkdir(parents=True)
    await _settle_run(work, run, RunState.RUNNING, {"started_at": work.now, "attempt": run.attempt + 1})
    request = ProductRequest(
        product=run.product, in_folder=str(released.folder), out_folder=str(draft), cores=cores, memory_mb=memory
    )
    limits = Limits(memory_mb=memory, cores=cores, timeout_s=manifest.timeout_s)
    try:
        result = await work.stage("product", request, limits, ProductResult)
        await asyncio.to_thread(publish_folder, draft, final)
    finally:
        await asyncio.to_thread(remove_folder, draft)
    await _settle_run(work, run, RunState.DONE, {"result": msgspec.json.encode(result).decode()})


async def _settle_run(work: Work, run: orders.RunRow, state: RunState, changes: dict[str, Any]) -> None:
    records = work.house.records
    async with records.transaction():
        await orders.hold_lease(records, work.row)
        await orders.change_run(run.id, {"state": str(state), **changes})


async def _files(work: Work) -> list[SeriesFile]:
    """The instances of the order's version, conflicts left out: the copy that came first counts."""
    found = await studies.instances(work.row.study, work.row.study_version)
    absolute = work.house.storage.absolute
    return [SeriesFile(instance=one.id, series=one.series, path=str(absolute(one.path))) for one in found if not one.conflict]


def _given(row: OrderRow) -> dict[str, Origin]:
    metadata = msgspec.json.decode(row.metadata or "{}", type=dict[str, Origin])
    return {name: one for name, one in metadata.items() if one.value and one.origin in ("form", "sidecar")}


def _held(row: OrderRow, error: RanvierError) -> OrderHeld:
    return OrderHeld(study=row.study, order=row.id, code=error.code, what=error.what)
