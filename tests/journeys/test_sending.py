"""A study sent on to archives: de-identified, by rule and by hand, once, and on from where a killed worker was."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from tests.journeys.world import PATIENCE_S, Visitor, World, a_world, places_of, ready
from tests.phantoms import PhantomStudy
from tests.servers import HOST, Orthanc, StoreScp, a_storescp, an_orthanc, until


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Orthanc]:
    """An archive that speaks DICOMweb."""
    plugin = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
    with an_orthanc(tmp_path / "web", Plugins=[plugin], DicomWeb={"Enable": True, "Root": "/dicom-web/"}) as server:
        yield server


def settings_for(pacs: StoreScp, web: Orthanc) -> dict[str, Any]:
    by_rule = {"protocol": "dicom-study", "name": "ARCHIVE", "host": HOST, "port": pacs.port, "called_ae": pacs.ae_title}
    url = f"http://{HOST}:{web.http_port}/dicom-web"
    by_hand = {"protocol": "stow-study", "name": "web", "url": url, "own_machine": True, "send": "asked"}
    return {"delivery": {"study_destinations": [by_rule, by_hand], "first_wait_s": 0}}


def sent(world: World, destination: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = []

    def there() -> bool:
        found[:] = world.rows("SELECT * FROM deliveries WHERE destination = {}", destination)
        return bool(found) and found[0]["state"] == "SENT"

    until(there, f"the images at {destination}", PATIENCE_S)
    (row,) = found
    return row


def by_hand(world: World, order: str) -> str:
    """`ranvier orders send`, as an administrator types it; gives the delivery."""
    url, token = f"http://{HOST}:{world.api_port}", Visitor(world).token
    done = subprocess.run(
        [sys.executable, "-m", "tui", "orders", "send", order, "--to", "web"],
        env={**os.environ, "RANVIER_URL": url, "RANVIER_TOKEN": token},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[0]


@pytest.mark.long
def test_a_study_goes_on_to_archives_once_though_its_worker_is_killed_on_the_way(
    tmp_path: Path, phantom: PhantomStudy, web: Orthanc
) -> None:
    """By rule with C-STORE, the worker killed between instances; by hand with STOW-RS, twice; nothing names the patient."""
    total = len(phantom.files)
    with contextlib.ExitStack() as here:
        before = contextlib.ExitStack()
        here.callback(before.close)
        slow = before.enter_context(a_storescp(tmp_path / "pacs" / "slow", "--sleep-after", "1"))
        world = here.enter_context(a_world(tmp_path / "gateway", settings_for(slow, web)))
        for word in ("receive", "api", "work"):
            world.start(word)
        ready(world)
        world.send(phantom.folder)
        order = world.the_order()
        until(lambda: len(slow.files()) > 2, "some images at the archive", PATIENCE_S)
        world.kill("work")
        before.close()
        early = {one.name for one in slow.files()}
        assert len(early) < total, "the worker was killed on the way"
        fast = here.enter_context(a_storescp(tmp_path / "pacs" / "fast", port=slow.port))
        world.start("work")
        done = sent(world, "ARCHIVE")
        assert done["answer"] == f"{total} of {total} images stored"
        late = {one.name for one in fast.files()}
        assert len(early | late) == total
        assert len(early & late) <= 1, "at most the image under way was sent twice"
        assert not places_of(phantom.patient.patient_id, tmp_path / "pacs")
        assert {dcmread(one).PatientIdentityRemoved for one in (*slow.files(), *fast.files())} == {"YES"}

        first = Visitor(world).post(f"/api/orders/{order.id}/send", {"destination": "web"})
        assert sent(world, "web")["id"] == first["delivery"]
        assert web.get("/statistics")["CountInstances"] == total
        assert by_hand(world, order.id) == first["delivery"]
        assert sent(world, "web")["answer"] == f"{total} of {total} images stored"
        assert web.get("/statistics")["CountInstances"] == total
