"""REC-10: DICOMweb archives as nodes: found by QIDO-RS, pulled by WADO-RS, asked whether a study is whole."""

import random
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.archives import an_archive, ended, kept, sent, set_nodes, stable_study
from tests.journeys.world import Visitor, World
from tests.phantoms import PhantomStudy
from tests.senders import dataset_bytes, digest
from tests.servers import HOST, Orthanc


def web_node(archive: Orthanc, **fields: Any) -> dict[str, Any]:
    return {"name": "web", "url": f"http://{HOST}:{archive.http_port}/dicom-web", "own_machine": True, **fields}


def test_a_study_is_found_on_a_dicomweb_archive_and_pulled_whole(started: World, tmp_path: Path, phantom: PhantomStudy) -> None:
    """REC-10: Orthanc's plugin is tested, searched at each level and page by page, pulled, and confirms the number."""
    files = sorted(phantom.files)
    with an_archive(tmp_path / "archive", started) as archive:
        sent(archive.port, files, calling="SCANNER", called="ORTHANC")
        visitor = Visitor(started)
        mine = web_node(archive, completeness="hold", compare="study")
        assert visitor.post("/api/settings/test/node", mine)["ok"]
        blocked = visitor.post("/api/settings/test/node", {**mine, "own_machine": False})
        assert not blocked["ok"] and "this machine itself" in " ".join(blocked["lines"])
        set_nodes(started, mine)
        (listed,) = visitor.get("/api/nodes")
        assert (listed["retrieve"], listed["port"], listed["tls"]) == ("wado", archive.http_port, False)
        asked = {"patient_id": phantom.patient.patient_id}
        (hidden,) = visitor.post("/api/nodes/web/find", asked)["items"]
        assert (hidden["patient_name"], hidden["instances"], hidden["study"]) == (None, len(files), None)
        (shown,) = visitor.post("/api/nodes/web/find", {**asked, "reveal": True})["items"]
        alone = visitor.post("/api/nodes/web/find", {"pick": hidden["pick"], "reveal": True})["items"]
        assert [one["patient_id"] for one in alone] == [shown["patient_id"]], "one answer is revealed alone"
        assert shown["patient_id"] == phantom.patient.patient_id
        (patient,) = visitor.post("/api/nodes/web/find", {**asked, "level": "PATIENT", "reveal": True})["items"]
        assert (patient["pick"], patient["patient_id"]) == ("", phantom.patient.patient_id)
        series = visitor.post("/api/nodes/web/find", {"level": "SERIES", "pick": shown["pick"]})["items"]
        assert sum(one["instances"] for one in series) == len(files)
        pages = [
            visitor.post("/api/nodes/web/find", {"level": "IMAGE", "pick": series[0]["pick"], "limit": 10, "skip": skip})
            for skip in (0, series[0]["instances"] - 10)
        ]
        assert [(len(one["items"]), one["more"]) for one in pages] == [(10, True), (10, False)]
        (pull,) = ended(visitor, visitor.post("/api/nodes/web/pulls", {"picks": [shown["pick"]]})["items"])
        assert (pull["state"], pull["completed"], pull["failed"]) == ("DONE", len(files), 0), pull
        stable_study(started, len(files))
        assert kept(started) == {digest(dataset_bytes(path)) for path in files}
        (said,) = started.rows("SELECT * FROM completeness")
        assert (said["state"], said["held"], said["expected"]) == ("whole", len(files), len(files))


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 6))])
def test_every_gap_of_a_pushed_study_is_filled_by_wado(
    seed: int, started: World, tmp_path: Path, phantom: PhantomStudy
) -> None:
    """REC-10: a sender drops instances at random; its archive names every one, and each is pulled by itself."""
    files = sorted(phantom.files)
    dropped = set(random.Random(seed).sample(files, 9))
    with an_archive(tmp_path / "archive", started) as archive:
        sent(archive.port, files, calling="SCANNER", called="ORTHANC")
        visitor = Visitor(started)
        set_nodes(started, web_node(archive, sender="ORTHANC", completeness="pull"))
        came = [one for one in files if one not in dropped]
        sent(started.dicom_port, came, calling="ORTHANC", called="RANVIER_SCP")
        stable_study(started, len(files))
        assert kept(started) == {digest(dataset_bytes(path)) for path in files}
        assert sum(one["completed"] for one in visitor.get("/api/pulls")["items"]) == len(dropped)
