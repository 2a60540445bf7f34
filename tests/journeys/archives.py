"""Other people's archives as nodes of an appliance, and questions about what came of a pull."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from appliance import settings
from appliance.house import House
from appliance.moments import now_ms
from tests.journeys.world import PATIENCE_S, Visitor, World
from tests.senders import dataset_bytes, digest
from tests.servers import HOST, Orthanc, an_orthanc, answers, program, running, until


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def sent(port: int, files: list[Path], *, calling: str, called: str) -> None:
    """By DCMTK's storescu, in the files' own syntaxes."""
    argv = [program("storescu", "dcmtk"), "-aet", calling, "-aec", called, HOST, str(port), *map(str, files)]
    done = subprocess.run(argv, env={**os.environ, "TCP_NODELAY": "1"}, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]


@contextlib.contextmanager
def an_archive(folder: Path, world: World, *, knows_us: bool = True) -> Iterator[Orthanc]:
    known = {"RANVIER_SCP": ["RANVIER_SCP", HOST, world.dicom_port]} if knows_us else {}
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
def a_dcmqrscp(folder: Path, world: World, port: int) -> Iterator[int]:
    """DCMTK's archive, which knows our AE title."""
    store = folder / "store"
    store.mkdir(parents=True)
    (folder / "dcmqrscp.cfg").write_text(
        f"NetworkTCPPort = {port}\nMaxPDUSize = 65536\nMaxAssociations = 8\n"
        f"HostTable BEGIN\nranvier = (RANVIER_SCP, {HOST}, {world.dicom_port})\nHostTable END\n"
        "VendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\nDCMQR {store} RW (500, 1024mb) ANY\nAETable END\n"
    )
    argv = [program("dcmqrscp", "dcmtk"), "-c", str(folder / "dcmqrscp.cfg"), str(port)]
    with running(argv, lambda: answers(port), folder / "dcmqrscp.log"):
        yield port


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
