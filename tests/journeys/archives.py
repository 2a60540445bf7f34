"""Other people's archives as nodes of an appliance, and questions about what came of a pull."""

import contextlib
import os
import random
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from appliance import settings
from appliance.house import House
from appliance.moments import now_ms
from tests.journeys.world import PATIENCE_S, Visitor, World
from tests.senders import dataset_bytes, digest
from tests.servers import HOST, Orthanc, a_free_port, an_orthanc, answers, program, running, until


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def sent(port: int, files: list[Path], *, calling: str, called: str) -> None:
    """By DCMTK's storescu, in the files' own syntaxes."""
    argv = [program("storescu", "dcmtk"), "-aet", calling, "-aec", called, HOST, str(port), *map(str, files)]
    done = subprocess.run(argv, env={**os.environ, "TCP_NODELAY": "1"}, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]


@contextlib.contextmanager
def an_archive(folder: Path, world: World, *, knows_us: bool = True, port_of_ours: int = 0) -> Iterator[Orthanc]:
    known = {"RANVIER_SCP": ["RANVIER_SCP", HOST, port_of_ours or world.dicom_port]} if knows_us else {}
    with an_orthanc(
        folder,
        DicomModalities=known,
        DicomAlwaysAllowFind=True,
        DicomAlwaysAllowGet=True,
        DicomAlwaysAllowMove=True,
        SynchronousCMove=True,
        Plugins=["/usr/share/orthanc/plugins/libOrthancDicomWeb.so"],
        DicomWeb={"Enable": True, "Root": "/dicom-web/"},
    ) as server:
        yield server


@contextlib.contextmanager
def a_dcmqrscp(folder: Path, world: World, port: int, *, port_of_ours: int = 0) -> Iterator[int]:
    """DCMTK's archive, which knows our AE title."""
    store = folder / "store"
    store.mkdir(parents=True)
    (folder / "dcmqrscp.cfg").write_text(
        f"NetworkTCPPort = {port}\nMaxPDUSize = 65536\nMaxAssociations = 8\n"
        f"HostTable BEGIN\nranvier = (RANVIER_SCP, {HOST}, {port_of_ours or world.dicom_port})\nHostTable END\n"
        "VendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\nDCMQR {store} RW (500, 1024mb) ANY\nAETable END\n"
    )
    argv = [program("dcmqrscp", "dcmtk"), "-c", str(folder / "dcmqrscp.cfg"), str(port)]
    with running(argv, lambda: answers(port), folder / "dcmqrscp.log"):
        yield port


@contextlib.contextmanager
def filled(
    archive: str, folder: Path, world: World, files: list[Path], *, port_of_ours: int = 0, at_once: int = 1_000
) -> Iterator[tuple[int, str]]:
    """Port and AE title of an archive, Orthanc or dcmqrscp, that holds the files and knows our AE title."""
    with contextlib.ExitStack() as stack:
        if archive == "Orthanc":
            port, called = stack.enter_context(an_archive(folder, world, port_of_ours=port_of_ours)).port, "ORTHANC"
        else:
            port = stack.enter_context(a_dcmqrscp(folder, world, a_free_port(), port_of_ours=port_of_ours))
            called = "DCMQR"
        for begin in range(0, len(files), at_once):
            sent(port, files[begin : begin + at_once], calling="SCANNER", called=called)
        yield port, called


@dataclass
class LossyWay:
    """Between an archive and us: what it takes with success does not all arrive the first time."""

    port: int = 0
    lost: set[str] = field(default_factory=set)


@contextlib.contextmanager
def a_lossy_way(to: int, *, some: random.Random, share: float) -> Iterator[LossyWay]:
    """A C-STORE SCP that hands on to a port of ours, but loses each instance once with a probability of `share`."""
    from pydicom.uid import ExplicitVRLittleEndian
    from pynetdicom import AE, evt

    way, seen = LossyWay(), set[str]()
    entity, classes = AE("LOSSY"), ("1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1")
    for one in classes:
        entity.add_supported_context(one, ExplicitVRLittleEndian)
        entity.add_requested_context(one, ExplicitVRLittleEndian)

    def on_store(event: Any) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        if uid not in seen:
            seen.add(uid)
            if some.random() < share:
                way.lost.add(uid)
                return 0
        dataset = event.dataset
        dataset.file_meta = event.file_meta
        onwards = entity.associate(HOST, to, ae_title="RANVIER_SCP")
        try:
            return int(onwards.send_c_store(dataset).Status)
        finally:
            onwards.release()

    server: Any = entity.start_server((HOST, 0), block=False, evt_handlers=[(evt.EVT_C_STORE, on_store)])
    way.port = server.server_address[1]
    try:
        yield way
    finally:
        server.shutdown()


def node(name: str, port: int, called_ae: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "host": HOST, "port": port, "called_ae": called_ae, **fields}


def set_nodes(world: World, *nodes: dict[str, Any]) -> None:
    """Those with a URL speak DICOMweb."""
    plain, web = ([one for one in nodes if ("url" in one) is wanted] for wanted in (False, True))

    async def save(house: House) -> object:
        found = await house.settings()
        wanted, changed = settings.patched(found.settings, {"nodes": {"nodes": plain, "web": web, "first_wait_s": 0}})
        return await house.save(wanted, based_on=found.version, actor="test", now=now_ms(), changed=changed)

    world.ask(save)


def ended(visitor: Visitor, pulls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    now: list[dict[str, Any]] = []

    def done() -> bool:
        now[:] = [visitor.get(f"/api/pulls/{one['pull']}") for one in pulls]
        return all(one["state"] in ("DONE", "FAILED", "CANCELLED") for one in now)

    until(done, "the pulls", PATIENCE_S)
    return now


def stable_study(world: World, count: int) -> dict[str, Any]:
    def there() -> bool:
        rows = world.rows("SELECT state, instances FROM studies")
        return bool(rows) and all(row["state"] == "STABLE" and row["instances"] == count for row in rows)

    until(there, f"a stable study of {count}", PATIENCE_S)
    (row,) = world.rows("SELECT * FROM studies")
    return row


def kept(world: World) -> set[str]:
    return {digest(dataset_bytes(path)) for path in (world.home / "storage" / "studies").rglob("original/*.dcm")}
