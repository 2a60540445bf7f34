"""Deliveries on loopback beside plain loops of the same libraries and tools, and how long each format of a report takes.

RANVIER_BENCH_DELIVERIES says how many orders go to three destinations each (1,000 unless told otherwise), from the records,
with every row, event and audit entry that a delivery writes; a protocol alone is sent to a quarter as often, three times.
"""

import asyncio
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import msgspec
import psutil

from appliance.delivery import destinations
from appliance.delivery.parcel import Parcel, Result
from appliance.delivery.section import DeliverySection, Destination, DicomPdf, Folder, Rest
from appliance.dispatch import Dispatcher
from appliance.house import House, open_house
from appliance.moments import now_ms
from appliance.records import deliveries
from appliance.reports import render
from appliance.reports.content import REPORT_FORMATS
from appliance.storage import write_durable
from tests.bench.figures import Figure, figure, repeated
from tests.journeys.reported import PDF, a_reported_order
from tests.servers import HOST, a_storescp, program
from tests.unit.delivery.parcels import Endpoint, a_parcel, an_endpoint
from tests.unit.delivery.test_dicom_pdf import a_dicom_parcel
from tests.unit.reports.samples import a_picture, a_report, a_request, a_section

ROUNDS = 3
THREE = 3
"""Destinations of each order."""


def measure() -> list[Figure]:
    """Deliveries a second to each destination alone, memory after all of them, then milliseconds of each format."""
    count = int(os.environ.get("RANVIER_BENCH_DELIVERIES", "1000"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        alone = _protocols(folder, max(count // 4, 1))
        return [*asyncio.run(_orders(folder, count)), *alone, *_formats(folder)]


async def _orders(folder: Path, count: int) -> list[Figure]:
    """All orders by the dispatcher to REST, a folder and REST, beside httpx and plain copies for the same files."""
    share, plain_share = folder / "orders", folder / "plain"
    for one in (share, plain_share):
        one.mkdir()
    with an_endpoint() as first, an_endpoint() as second:
        rest = [Rest(name=f"HIS {one.port}", url=one.url, own_machine=True) for one in (first, second)]
        async with open_house(folder / "home", create=True) as house:
            section = DeliverySection(destinations=(*rest, Folder(name="Share", folder=str(share))))
            loaded = await house.settings()
            wanted = msgspec.structs.replace(loaded.settings, delivery=section)
            await house.save(wanted, based_on=loaded.version, actor="bench", now=now_ms(), changed=["delivery"])
            names = [one.name for one in section.destinations]
            for _ in range(count):
                await a_reported_order(house, *names)
            before = psutil.Process().memory_info().rss
            began = time.perf_counter()
            await _delivered(house, count * THREE)
            rate = count * THREE / (time.perf_counter() - began)
            grown = (psutil.Process().memory_info().rss - before) / 2**20
        floor = count * THREE / await _plain_loops(first, second, plain_share, count)
    return [
        figure("deliveries of orders to 3 destinations", [rate], "httpx and copies, 3 loops", [floor], "/s", "higher"),
        figure("memory grown by deliveries of orders", [grown], "none", [grown], "MiB", "lower"),
    ]


async def _delivered(house: House, wanted: int) -> None:
    """Runs the dispatcher until so many deliveries have arrived."""
    stop = asyncio.Event()
    running = asyncio.create_task(Dispatcher(house, "bench").run(stop))
    while (await deliveries.counts(house.records)).get("SENT", 0) < wanted:
        await asyncio.sleep(0.25)
    stop.set()
    await running


async def _plain_loops(first: Endpoint, second: Endpoint, share: Path, count: int) -> float:
    """Seconds of three loops beside each other that do nothing but send."""
    file = share.parent / "plain.pdf"
    file.write_bytes(PDF)

    async def copied() -> None:
        for number in range(count):
            await asyncio.to_thread(write_durable, share / f"{number}.pdf", PDF)

    began = time.perf_counter()
    await asyncio.gather(_posted(first, file, count), _posted(second, file, count), copied())
    return time.perf_counter() - began


def _protocols(folder: Path, count: int) -> list[Figure]:
    share = folder / "share"
    share.mkdir()
    parcel, dicom = a_parcel(folder), a_dicom_parcel(folder)
    with an_endpoint() as endpoint, a_storescp(folder / "pacs") as pacs:
        rest = Rest(name="HIS", url=endpoint.url, own_machine=True)
        node = DicomPdf(name="PACS", host=HOST, port=pacs.port, called_ae="PACS")
        drop = Folder(name="Share", folder=str(share))
        storescu = [program("storescu", "dcmtk"), "-aec", "PACS", HOST, str(pacs.port), str(dicom.files["dicom-pdf"])]
        ours, plain, node_ours, node_plain, drop_ours = repeated(
            ROUNDS,
            lambda: count / _seconds(lambda: asyncio.run(_sent(parcel, rest, count))),
            lambda: count / _seconds(lambda: asyncio.run(_posted(endpoint, parcel.files["pdf"], count))),
            lambda: count / _seconds(lambda: asyncio.run(_sent(dicom, node, count))),
            lambda: count / _seconds(lambda: [subprocess.run(storescu, check=True, capture_output=True) for _ in range(count)]),
            lambda: count / _seconds(lambda: asyncio.run(_sent(parcel, drop, count))),
        )
    return [
        figure("deliveries by REST", ours, "httpx, one client", plain, "/s", "higher", packages=("httpx",)),
        figure("deliveries by C-STORE", node_ours, "DCMTK storescu", node_plain, "/s", "higher", packages=("pynetdicom",)),
        figure("deliveries into a folder", drop_ours, "by REST", ours, "/s", "higher"),
    ]


def _formats(folder: Path) -> list[Figure]:
    content = a_report(sections=[a_section([a_picture(folder / "fa.png")])])
    request = a_request(folder, content)
    names = list(REPORT_FORMATS)
    times = repeated(ROUNDS, *[lambda name=name: _seconds(lambda: render.render(request, name)) * 1000 for name in names])
    text = times[names.index("txt")]
    return [figure(f"report as {name}", one, "as txt", text, "ms", "lower") for name, one in zip(names, times, strict=True)]


async def _sent(parcel: Parcel, section: Destination, count: int) -> None:
    for number in range(count):
        one = msgspec.structs.replace(parcel, idempotency_key=f"key-{number}")
        outcome = await destinations.send(one, section)
        assert outcome.result in (Result.SENT, Result.SENT_WITH_WARNING), outcome.answer


async def _posted(endpoint: Endpoint, file: Path, count: int) -> None:
    content = file.read_bytes()
    async with httpx.AsyncClient() as client:
        for _ in range(count):
            (await client.post(endpoint.url, content=content)).raise_for_status()


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
