"""Products that run elsewhere, at the cloud or on a hub: upload, start, ask again, collect.

What leaves is a `Released` and nothing else. Every step that was made is noted before the next one begins, so that a process
that dies costs the ZIP that it had in hand and never a second order.
"""

import asyncio
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from appliance.cloud import results, sdk, wire, zips
from appliance.cloud.errors import (
    CloudAway,
    CloudBusy,
    CloudFailed,
    CloudRefuses,
    CloudRefusesKey,
    CloudWorks,
    NoImagesForCloud,
    OutsideHours,
    PartDamaged,
)
from appliance.cloud.sdk import SdkClient
from appliance.cloud.section import CloudSection
from appliance.compute.local import StageCancelled
from appliance.deidentify.passport import Passport, Released
from appliance.errors import Misconfigured, Retry
from appliance.products import catalogue
from appliance.products.manifest import Picture, ProductResult, Value
from appliance.records import cloud, orders
from appliance.records.cloud import CloudRow
from appliance.records.orders import RunRow
from appliance.states import OrderState, RunState
from appliance.steps import Move, Work
from appliance.storage import publish_folder, remove_folder

WAITING = frozenset(one.code for one in (CloudAway, CloudBusy, CloudRefusesKey, CloudWorks, OutsideHours))
FORMATS = {"json": "result.json", "txt": "result.txt", "xml": "result.xml", "features": "features.csv", "png": "result.png"}
_FIRST_WAIT_S, _LONGEST_WAIT_S = 2.0, 120.0
_WAIT_SHARE = 0.03
"""Of the time since an order was begun: what is finished is seen late by that share of the time it took."""
_AGAIN_S = 1.0


class ModeNotConnected(Misconfigured):
    """Processing mode {mode} has no connection that works yet."""

    code = "mode-not-connected"
    next_step = "Enter API URL and API key under Settings, Cloud, with protocol sdk, and test them; then retry."


def is_meant(work: Work) -> bool:
    """Whether the settings send this order elsewhere; raises `ModeNotConnected` when nothing is set up to."""
    mode, section = work.settings.compute.mode, work.settings.cloud
    if mode == "local":
        return False
    if section.protocol != "sdk" or not section.api_url or not section.api_key:
        raise ModeNotConnected(field="compute.mode", mode=mode)
    return True


async def prepare(work: Work, *, remotely: bool) -> None:
    """Notes which runs are made elsewhere; joins the transaction of the move."""
    runs = [run.id for run in await orders.runs(work.row.id) if run.state is not RunState.DONE]
    await cloud.begin(work.row.id, runs if remotely else [], work.now)


async def has(order: str) -> bool:
    """Whether an order is elsewhere."""
    return bool(await cloud.of_order(order))


async def released(work: Work) -> Released:
    """The order's de-identified images, once more compared with their passport; raises `NotClean`, `NotAsVerified`."""
    from appliance.deidentify.verifier import release

    row = work.row
    passport = msgspec.json.decode(row.passport, type=Passport)
    return await asyncio.to_thread(release, work.house.storage.deidentified(row.study, row.study_version, row.id), passport)


async def upload(work: Work) -> Move:
    """Everything that may leave goes to the cloud, and each run is started there; to PROCESSING."""
    await work.say("cloud-upload", 0.0, "comparing with the passport")
    images = await released(work)
    runs = {run.id: run for run in await orders.runs(work.row.id)}
    rows = await cloud.of_order(work.row.id)
    for place, row in enumerate(rows):
        if not row.started:
            await _Upload(work, images, place, len(rows)).run(row, runs[row.id])
    return Move(OrderState.PROCESSING)


class _Upload:
    """One run on its way."""

    def __init__(self, work: Work, images: Released, place: int, count: int) -> None:
        self._work, self._images, self._place, self._count = work, images, place, count
        self._client: SdkClient = sdk.client(work.settings.cloud)

    async def run(self, row: CloudRow, run: RunRow) -> None:
        """Goes on where the row says; raises what `appliance.cloud.errors` has."""
        files = [self._images.folder / name for name in sorted(self._images.passport.images)]
        if not files:
            raise NoImagesForCloud()
        if not row.remote:
            row = await self._noted(row, remote=await self._client.new_order())
        planned = await asyncio.to_thread(zips.planned, files, self._work.settings.cloud.part_kb * 1000)
        for index in range(row.sent, len(planned)):
            first = sum(map(len, planned[:index]))
            row = await self._zip(row, index, planned[index], first, final=index == len(planned) - 1)
            fraction = (self._place + (index + 1) / len(planned)) / self._count
            await self._work.say("cloud-upload", fraction, f"upload {index + 1} of {len(planned)}")
        self._require_going_on()
        # A process that died after it asked must not ask again: an order that is started counts against the key.
        if not (await self._client.status(row.remote)).started:
            await self._client.start(row.remote, name_at_cloud(self._work.settings.cloud, run.product))
        await self._noted(row, started=True)
        await _change_run(self._work, run, RunState.RUNNING)

    async def _zip(self, row: CloudRow, index: int, files: list[Path], first: int, *, final: bool) -> CloudRow:
        """One ZIP, tried as often as the settings say; what was put and not completed is only completed."""
        for attempt in range(self._work.settings.cloud.upload_retries + 1):
            self._require_going_on()
            require_hours(self._work)
            try:
                if not row.upload:
                    data = await asyncio.to_thread(zips.made, files, first)
                    begun = await self._client.begin(row.remote, index)
                    etag = await self._client.put(row.remote, index, begun, data)
                    row = await self._noted(row, upload=begun, etag=etag)
                await self._client.complete(row.remote, index, row.upload, row.etag, final=final)
                return await self._noted(row, sent=index + 1, upload="", etag="")
            except (CloudAway, PartDamaged) as fault:
                last: Retry = fault
            except CloudRefuses as fault:
                if not row.upload or fault.facts["status"] not in (404, 409):
                    raise
                # What had been put is not there any more: it is put again.
                row = await self._noted(row, upload="", etag="")
                last = CloudAway(after=_AGAIN_S, why="it has forgotten a part")
            await _pause(self._work, min(_AGAIN_S * 2**attempt, last.after))
        raise last

    async def _noted(self, row: CloudRow, **changes: str | int | bool) -> CloudRow:
        records = self._work.house.records
        async with records.transaction():
            await orders.hold_lease(records, self._work.row)
            await cloud.change(row.id, **changes)
        return msgspec.structs.replace(row, **changes)

    def _require_going_on(self) -> None:
        if self._work.stop.is_set():
            raise StageCancelled()


async def process(work: Work) -> Move:
    """Asks where the runs stand and collects what is finished; to PROCESSED when all are settled, else asked again later."""
    runs = {run.id: run for run in await orders.runs(work.row.id)}
    rows, waits, failure, stands = await cloud.of_order(work.row.id), 0.0, "", ""
    await work.say("cloud", work.row.percent / 100, work.row.step or "at the cloud")
    for row in rows:
        run = runs[row.id]
        if run.state in (RunState.DONE, RunState.FAILED):
            continue
        client = sdk.client(work.settings.cloud)
        status = await client.status(row.remote)
        if status.failed:
            failure = wire.told(status.info) or "no reason given"
            await _change_run(work, run, RunState.FAILED, code=CloudFailed.code, detail=CloudFailed(told=failure).what)
        elif status.finished:
            await _collect(work, client, row, run)
        else:
            elapsed = (work.now - row.created_at) / 1000
            waits = max(waits, min(max(elapsed * _WAIT_SHARE, _FIRST_WAIT_S), _LONGEST_WAIT_S))
            stands = f"{wire.told(status.info) or 'started'}, {status.progress} %"
    if waits:
        raise CloudWorks(after=waits, stands=stands)
    settled = await orders.runs(work.row.id)
    if any(run.state is RunState.DONE for run in settled):
        return Move(OrderState.PROCESSED)
    raise CloudFailed(told=failure or next((run.detail for run in settled if run.detail), "no reason given"))


async def _collect(work: Work, client: SdkClient, row: CloudRow, run: RunRow) -> None:
    """Every format of the result onto the disk, its numbers into the run."""
    storage, order = work.house.storage, work.row
    final = storage.products(order.study, order.study_version, order.id, run.product)
    scratch = storage.scratch(run.id)
    draft = scratch / "out"
    await asyncio.to_thread(remove_folder, scratch)
    draft.mkdir(parents=True)
    try:
        bodies = {name: await client.results(row.remote, form) for form, name in FORMATS.items()}
        for name, body in bodies.items():
            await asyncio.to_thread((draft / name).write_bytes, body)
        await asyncio.to_thread(publish_folder, draft, final)
    finally:
        await asyncio.to_thread(remove_folder, scratch)
    made = _result(work, run, row, bodies[FORMATS["json"]], picture=bodies[FORMATS["png"]].startswith(b"\x89PNG"))
    await _change_run(work, run, RunState.DONE, result=msgspec.json.encode(made).decode(), ended_at=work.now)


def _result(work: Work, run: RunRow, row: CloudRow, body: bytes, *, picture: bool) -> ProductResult:
    manifest, found = catalogue(work.house.home).get(run.product), results.read(body)
    notes = ["These numbers were computed elsewhere; this appliance shows them as they came."]
    if not found.numbers:
        notes.append("The result holds no number that this appliance can read; see the files that came with it.")
    return ProductResult(
        product=run.product,
        version=run.product_version,
        title=manifest.title if manifest else run.product,
        intended_use=manifest.intended_use if manifest else "",
        values=[Value(name=one.name, label=one.label, value=one.value, unit=one.unit, note=one.note) for one in found.numbers],
        pictures=[Picture(file=FORMATS["png"], title="Result as it came")] if picture else [],
        maps=[],
        notes=[*notes, *found.notes],
        provenance={"order elsewhere": row.remote, "version elsewhere": found.version or "not said"},
        seconds={},
    )


async def _change_run(work: Work, run: RunRow, state: RunState, **changes: str | int) -> None:
    async with work.house.records.transaction():
        await orders.hold_lease(work.house.records, work.row)
        await orders.change_run(run.id, {"state": str(state), **changes})


def name_at_cloud(section: CloudSection, product: str) -> str:
    """What the cloud calls a product."""
    return dict(one.split("=", 1) for one in section.product_names).get(product, product)


def require_hours(work: Work) -> None:
    """Raises `OutsideHours` when the settings let nothing leave now."""
    section = work.settings.cloud
    begin, end = section.upload_from, section.upload_until
    if begin == end:
        return
    now = datetime.fromtimestamp(work.now / 1000, ZoneInfo(work.settings.site.time_zone))
    inside = begin <= now.hour < end if begin < end else now.hour >= begin or now.hour < end
    if not inside:
        hours = (begin - now.hour) % 24
        raise OutsideHours(after=max(hours * 3600 - now.minute * 60 - now.second, 1), begin=begin, end=end)


async def _pause(work: Work, seconds: float) -> None:
    """Waits, but not for an order that was cancelled meanwhile."""
    try:
        await asyncio.wait_for(work.stop.wait(), seconds)
    except TimeoutError:
        return
