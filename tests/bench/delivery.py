"""Deliveries on loopback beside plain loops of the same libraries and tools, and how long each format of a report takes.

RANVIER_BENCH_DELIVERIES says how many reports go to each destination (1,000 unless told otherwise).
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
from appliance.delivery.section import Destination, DicomPdf, Folder, Rest
from appliance.reports import render
from appliance.reports.content import REPORT_FORMATS
from tests.bench.figures import Figure, figure, repeated
from tests.servers import HOST, a_storescp, program
from tests.unit.delivery.parcels import Endpoint, a_parcel, an_endpoint
from tests.unit.delivery.test_dicom_pdf import a_dicom_parcel
from tests.unit.reports.samples import a_picture, a_report, a_request, a_section

ROUNDS = 3


def measure() -> list[Figure]:
    """Deliveries a second to each destination alone, memory after all of them, then milliseconds of each format."""
    count = int(os.environ.get("RANVIER_BENCH_DELIVERIES", "1000"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        before = psutil.Process().memory_info().rss
        found = [*_deliveries(folder, count), *_formats(folder)]
        grown = (psutil.Process().memory_info().rss - before) / 2**20
        return [*found, figure("memory grown by all deliveries and formats", [grown], "none", [grown], "MiB", "lower")]


def _deliveries(folder: Path, count: int) -> list[Figure]:
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
            lambda: count / _seconds(lambda: asyncio.run(_posted(endpoint, parcel, count))),
            lambda: count / _seconds(lambda: asyncio.run(_sent(dicom, node, count))),
            lambda: count / _seconds(lambda: [subprocess.run(storescu, check=True, capture_output=True) for _ in range(count)]),
            lambda: count / _seconds(lambda: asyncio.run(_sent(parcel, drop, count))),
        )
    return [
        figure("deliveries by REST", ours, "httpx, a client each", plain, "/s", "higher", packages=("httpx",)),
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


async def _posted(endpoint: Endpoint, parcel: Parcel, count: int) -> None:
    content = Path(parcel.files["pdf"]).read_bytes()
    for _ in range(count):
        async with httpx.AsyncClient() as client:
            (await client.post(endpoint.url, content=content)).raise_for_status()


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
