"""What is done in each state of an order: plain functions from an order and the settings to its next state.

They carry values between the rooms, which do not know each other, and start the heavy work as stages in child processes. They
write nothing themselves: what must be written goes into the `Move`, which `appliance.pipeline` makes true in one transaction.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from appliance.compute.dask import ON_CLUSTER, Cluster, run_on_cluster
from appliance.compute.local import Limits, StageEnded, StageError, run_stage
from appliance.deidentify.last_look import storable, stored
from appliance.deidentify.passport import DeidAnswer, DeidRequest, Source, SourceFile
from appliance.errors import Failed, NeedsPerson, RanvierError
from appliance.events import Event, OrderHeld, QcFailed, QcPassed
from appliance.house import House
from appliance.products import catalogue
from appliance.products.manifest import Manifest
from appliance.qc import ages
from appliance.qc.finding import Origin, QcImagesRequest, QcReport, QcRequest, SeriesFile, SourceCount, Verdict
from appliance.records import deliveries, durations, identities, pulls, studies
from appliance.records.orders import OrderRow
from appliance.settings import Settings
from appliance.states import OrderState
from appliance.storage import publish_folder, remove_folder

LIGHT = Limits(memory_mb=4096, cores=1, timeout_s=3600)
"""Limits of stages that read headers, copy files or draw pages."""

LOOKING = Limits(memory_mb=4096, cores=2, timeout_s=3600)
"""Limits of the image checks, which read headers while the converter works."""

Answer = TypeVar("Answer", bound=msgspec.Struct)


class UnknownProduct(Failed):
    """The order asks for a product that is not installed."""

    code = "unknown-product"
    next_step = "Install the product, or run the order again with one of those that Settings lists."


class TaggedProductUnknown(Failed):
    """The private attribute {place} of the study names a product that is not installed."""

    code = "tagged-product-unknown"
    next_step = "Correct the attribute at the sender, or run a product that is installed on this study by hand."


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

    async def stage(
        self,
        name: str,
        request: msgspec.Struct,
        limits: Limits,
        answer: type[Answer],
        *,
        out_folder: Path | None = None,
        measured_as: str = "",
    ) -> Answer:
        """Runs a stage for this order, here or on the cluster, and gives its typed answer; how long it took is kept.

        `out_folder` is checked for what may not be in it; `measured_as` names the work where it depends on more than the stage.
        """

        async def progress(fraction: float, step: str) -> None:
            await self.say(name, fraction, step)

        await self.say(name, 0.0, "starting")
        kept = limits if self.settings.compute.limits else msgspec.structs.replace(limits, memory_mb=0, cores=0)
        began = [time.monotonic()]

        def taken_up() -> None:
            # The time in a cluster's queue is none of the stage's own.
            began[0] = time.monotonic()

        run = self._runner(name, taken_up)
        raw = await run(name, request, kept, progress=progress, stop=self.stop, out_folder=out_folder)
        try:
            found = msgspec.json.decode(raw, type=answer)
        except msgspec.DecodeError as fault:
            what = f"The {name} stage answered something that is no {answer.__name__}."
            raise StageEnded(StageError(kind="failed", code="answer-unreadable", what=what)) from fault
        await durations.note(self.house.records, measured_as or name, time.monotonic() - began[0])
        return found

    def _runner(self, name: str, began: Callable[[], None]) -> Callable[..., Awaitable[bytes]]:
        compute = self.settings.compute
        if not compute.scheduler or name not in ON_CLUSTER:
            return run_stage
        cluster = Cluster(
            address=compute.scheduler,
            ca=compute.scheduler_ca,
            certificate=compute.scheduler_certificate,
            key=compute.scheduler_key,
        )
        return partial(run_on_cluster, cluster, began=began)


@dataclass(frozen=True, slots=True)
class Move:
    """Where an order goes next, and what is written in the same transaction."""

    to: OrderState
    events: list[Event] = field(default_factory=list)
    changes: dict[str, Any] = field(default_factory=dict)
    writes: Callable[[], Awaitable[None]] | None = None


def manifests(work: Work) -> list[Manifest]:
    """The products of an order; raises `UnknownProduct`."""
    known = catalogue(work.house.home)
    if any(one not in known for one in work.row.product_list):
        raise UnknownProduct()
    return [known[one] for one in work.row.product_list]


async def check(work: Work) -> Move:
    """QC: are these studies fit for the products? To QUEUED or QC_FAILED."""
    row = work.row
    if not row.product_list:
        receive = work.settings.receive
        raise TaggedProductUnknown(place=f"({receive.product_tag_group},{receive.product_tag_element})".upper())
    given = _given(row)
    files = await _files(work)
    request = QcRequest(
        order=row.id,
        files=files,
        protocols={one.id: _protocol(work, one) for one in manifests(work)},
        given=given,
        switched_off=list(work.settings.qc.switched_off),
        source=await _source(work),
    )
    report = await _images(work, await work.stage("qc", request, LIGHT, QcReport), files)
    failed = [one.title for one in report.findings if one.verdict is Verdict.FAILED]
    changes = {
        "qc_verdict": str(report.verdict),
        **report.columns,
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


async def _source(work: Work) -> SourceCount | None:
    """What the study's source said that it holds, for the version that this order works on."""
    said = await pulls.completeness(work.row.study)
    if said is None:
        return None
    node = next((one for one in work.settings.nodes.nodes if one.name == said.node), None)
    holds = node is not None and node.completeness in ("hold", "pull")
    return SourceCount(node=said.node, expected=said.expected, held=said.held, detail=said.detail, holds=holds)


def _age_years(report: QcReport) -> int | None:
    """The settled age in whole years, kept in a column of its own so that lists can be filtered by it."""
    age = ages.normalised(report.metadata.get("age", Origin()).value)
    return int(ages.in_years(age)) if age else None


def _protocol(work: Work, manifest: Manifest) -> dict[str, Any]:
    """What a product asks of its input, and besides what the settings ask for all products."""
    rules: dict[str, Any] = msgspec.to_builtins(manifest.protocol)
    section = work.settings.qc
    for name in ("study_description", "series_description"):
        rules[name] = rules[name] or getattr(section, name)
    return rules | ({"edition": section.protocol_edition} if section.protocol_edition else {})


async def _images(work: Work, report: QcReport, files: list[SeriesFile]) -> QcReport:
    """The headers' report with the findings on the images of the input series behind; pictures go below the study."""
    row, storage = work.row, work.house.storage
    wanted = {series for product in report.inputs.values() for series in product}
    scratch = storage.scratch(row.id)
    draft = scratch / "out"
    await asyncio.to_thread(remove_folder, scratch)
    draft.mkdir(parents=True)
    request = QcImagesRequest(
        report=report,
        files=[one for one in files if one.series in wanted],
        out_folder=str(draft),
        switched_off=list(work.settings.qc.switched_off),
        consent=_consent(work),
    )
    try:
        answer = await work.stage("qc-images", request, LOOKING, QcReport)
        await asyncio.to_thread(publish_folder, draft, storage.quality(row.study, row.study_version, row.id))
    finally:
        await asyncio.to_thread(remove_folder, scratch)
    return answer


def _consent(work: Work) -> dict[str, str]:
    """Who agreed to the repair of which series' gradient table: a person for this order, or the settings for all."""
    found = {"*": "the settings"} if work.settings.qc.repair_gradients else {}
    earlier = msgspec.json.decode(work.row.qc_report, type=QcReport) if work.row.qc_report else None
    return found | {one.series: one.consent for one in (earlier.repairs if earlier else []) if one.consent}


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
    said = await _source(work)
    folder = house.storage.deidentified(row.study, row.study_version, row.id)
    request = DeidRequest(
        order=row.id,
        files=files,
        out_folder=str(folder),
        pseudonym=study.pseudonym or house.keys.digest("patient", row.study),
        secret=house.keys.derive("deidentify").hex(),
        signing_seed=house.keys.derive("passport").hex(),
        section=msgspec.to_builtins(work.settings.deidentify),
        given={name: one.value for name, one in _given(row).items()},
        source=Source(expected=said.expected, held=said.held) if said else None,
    )
    answer = await work.stage("deidentify", request, LIGHT, DeidAnswer)
    passport = msgspec.json.encode(answer.passport).decode()
    if not answer.passport.clean:
        error = ResiduesFound(count=len(answer.passport.residues))
        return Move(OrderState.HELD, [_held(row, error)], {"passport": passport, "code": error.code, "detail": error.what})

    async def writes() -> None:
        await identities.put_linking(house.keys, row.study, answer.linking)
        before = await identities.sought(house.keys, row.study)
        if before:
            answer.wanted.take(stored(before, ()))
        await identities.put_sought(house.keys, row.study, storable(answer.wanted))
        for one in work.settings.delivery.study_destinations if answer.passport.images else ():
            if one.send == "every":
                await deliveries.create_of_study(row.study, row.study_version, row.id, one.name, work.now)

    return Move(OrderState.DEIDENTIFIED, [], {"passport": passport}, writes)


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
