"""From a de-identified order to its products' results: one run for each product, in child processes with limits."""

import asyncio
from typing import Any

import msgspec

from appliance import remote
from appliance.compute.local import Limits, StageDied, StageEnded
from appliance.deidentify.passport import Released
from appliance.errors import Waits
from appliance.moments import new_id
from appliance.products import catalogue
from appliance.products.manifest import ProductRequest, ProductResult
from appliance.qc import ages
from appliance.qc.finding import Origin, QcReport
from appliance.records import orders
from appliance.records.orders import OrderRow
from appliance.records.tables import ProductRun
from appliance.states import OrderState, RunState
from appliance.steps import Move, NothingToProcess, UnknownProduct, Work, manifests
from appliance.storage import publish_folder, remove_folder

DATA_FOLDER = "product-data"
"""Below the home: what the site installed for products, `atlas/`, `models/`, `keys/` and `norms/`."""


async def begin(work: Work) -> Move:
    """One row for each product run; to PROCESSING, or UPLOADING for the cloud: never computed here instead (PRO-07)."""
    row = work.row
    remotely = remote.is_meant(work)
    existing = {run.product for run in await orders.runs(row.id)}
    rows = [
        ProductRun(id=new_id(), order=row.id, product=one.id, product_version=one.version, state=str(RunState.PENDING))
        for one in manifests(work)
        if one.id not in existing
    ]

    async def writes() -> None:
        await orders.add_runs(rows)
        await remote.prepare(work, remotely=remotely)

    return Move(OrderState.UPLOADING if remotely else OrderState.PROCESSING, [], {}, writes)


async def process(work: Work) -> Move:
    """The product runs that are not done yet, one after another; to PROCESSED when one is done, else FAILED."""
    row = work.row
    if await remote.has(row.id):
        return await remote.process(work)
    released = await remote.released(work)
    last: StageEnded | StageDied | None = None
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
        except StageDied as died:
            if row.failures + 1 < work.settings.compute.attempts:
                raise
            # The last attempt: a product that keeps crashing must not take the others' results with it.
            last = died
            await _settle_run(work, run, RunState.FAILED, {"code": died.code, "detail": died.what})
    done = [run for run in await orders.runs(row.id) if run.state is RunState.DONE]
    if not done and last is not None:
        raise last
    if not done:
        raise NothingToProcess()
    return Move(OrderState.PROCESSED)


async def _run_product(work: Work, run: orders.RunRow, released: Released) -> None:
    row, storage = work.row, work.house.storage
    manifest = catalogue(work.house.home).get(run.product)
    if manifest is None:
        raise UnknownProduct()
    compute = work.settings.compute
    cores = compute.cores or manifest.cores
    memory = compute.memory_mb or manifest.memory_mb
    final = storage.products(row.study, row.study_version, row.id, run.product)
    # A folder of this attempt's own: a run that is still being ended somewhere else cannot write into it. What a run keeps for
    # its next attempt lies beside it, until the order leaves this state.
    scratch, kept = storage.scratch(run.id), storage.kept(row.id) / run.product
    draft = scratch / str(row.attempt) / "out"
    await asyncio.to_thread(remove_folder, scratch)
    draft.mkdir(parents=True)
    kept.mkdir(parents=True, exist_ok=True)
    await _settle_run(work, run, RunState.RUNNING, {"started_at": work.now, "attempt": run.attempt + 1})
    request = ProductRequest(
        product=run.product,
        in_folder=str(released.folder),
        out_folder=str(draft),
        cores=cores,
        memory_mb=memory,
        folder=manifest.folder,
        kept_folder=str(kept),
        gradient_changes=_gradient_changes(row),
        data_folder=str(installed) if (installed := work.house.home / DATA_FOLDER).is_dir() else "",
        single_shell_index=work.settings.products.single_shell_index,
        age_years=_age_years(row),
        sex=_sex(row),
    )
    limits = Limits(
        memory_mb=memory, cores=cores, timeout_s=manifest.timeout_s, quiet_s=manifest.quiet_s, out_mb=manifest.out_mb
    )
    try:
        result = await work.stage(
            "product", request, limits, ProductResult, out_folder=draft, measured_as=f"product/{run.product}"
        )
        await asyncio.to_thread(publish_folder, draft, final)
    except Waits:
        await _settle_run(work, run, RunState.PENDING, {"attempt": run.attempt})
        raise
    finally:
        await asyncio.to_thread(remove_folder, scratch)
    await _settle_run(work, run, RunState.DONE, {"result": msgspec.json.encode(result).decode()})


def _age_years(row: OrderRow) -> float | None:
    age = ages.normalised(_metadata(row).get("age", Origin()).value)
    return ages.in_years(age) if age else None


def _sex(row: OrderRow) -> str:
    sex = _metadata(row).get("sex", Origin()).value
    return sex if sex in ("F", "M") else ""


def _metadata(row: OrderRow) -> dict[str, Origin]:
    return msgspec.json.decode(row.metadata or "{}", type=dict[str, Origin])


def _gradient_changes(row: OrderRow) -> dict[str, tuple[tuple[int, int, int], ...]]:
    """Series number -> change of its gradient axes, for the tables whose repair somebody agreed to."""
    report = msgspec.json.decode(row.qc_report, type=QcReport) if row.qc_report else None
    repairs = report.repairs if report else []
    return {str(one.number): one.change for one in repairs if one.consent and one.number is not None}


async def _settle_run(work: Work, run: orders.RunRow, state: RunState, changes: dict[str, Any]) -> None:
    records = work.house.records
    async with records.transaction():
        await orders.hold_lease(records, work.row)
        await orders.change_run(run.id, {"state": str(state), **changes})
