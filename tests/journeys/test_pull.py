"""Query and retrieve with other people's PACS, and the proof that a study is whole: Orthanc and DCMTK's dcmqrscp."""

import json
import os
import random
import subprocess
import sys
import urllib.error
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import UID

from tests.journeys.archives import (
    a_dcmqrscp,
    a_lossy_way,
    an_archive,
    ended,
    files_of,
    filled,
    kept,
    node,
    sent,
    set_nodes,
    stable_study,
)
from tests.journeys.world import PATIENCE_S, Visitor, World, a_world, places_of, ready
from tests.phantoms import PhantomStudy
from tests.senders import dataset_bytes, digest
from tests.servers import HOST, a_free_port, until


@pytest.mark.parametrize("retrieve", ["move", "get"])
def test_a_study_is_found_on_a_pacs_and_pulled_whole(
    retrieve: str, started: World, tmp_path: Path, phantom: PhantomStudy
) -> None:
    """REC-10: C-FIND without and with the patient shown, C-MOVE and C-GET from Orthanc; the source confirms the number."""
    files = sorted(phantom.files)
    with an_archive(tmp_path / "archive", started) as archive:
        sent(archive.port, files, calling="SCANNER", called="ORTHANC")
        visitor = Visitor(started)
        mine = node("archive", archive.port, "ORTHANC", retrieve=retrieve, completeness="hold", compare="study")
        tested = visitor.post("/api/settings/test/node", mine)
        assert tested["ok"], tested
        set_nodes(started, mine)
        asked = {"patient_id": phantom.patient.patient_id}
        (hidden,) = visitor.post("/api/nodes/archive/find", asked)["items"]
        assert (hidden["patient_name"], hidden["instances"], hidden["study"]) == (None, len(files), None)
        (shown,) = visitor.post("/api/nodes/archive/find", {**asked, "reveal": True})["items"]
        alone = visitor.post("/api/nodes/archive/find", {"pick": hidden["pick"], "reveal": True})["items"]
        assert [one["patient_id"] for one in alone] == [shown["patient_id"]], "one answer is revealed alone"
        assert shown["patient_id"] == phantom.patient.patient_id
        series = visitor.post("/api/nodes/archive/find", {"level": "SERIES", "pick": shown["pick"]})["items"]
        assert sum(one["instances"] for one in series) == len(files)
        (pull,) = ended(visitor, visitor.post("/api/nodes/archive/pulls", {"picks": [shown["pick"]]})["items"])
        assert (pull["state"], pull["completed"], pull["failed"]) == ("DONE", len(files), 0), pull
        stable_study(started, len(files))
        assert kept(started) == {digest(dataset_bytes(path)) for path in files}
        (said,) = started.rows("SELECT * FROM completeness")
        assert (said["state"], said["held"], said["expected"]) == ("whole", len(files), len(files))
        (again,) = visitor.post("/api/nodes/archive/find", asked)["items"]
        assert again["study"], "the answer says that the study is here"
        traces = [one for one in places_of(phantom.patient.patient_id, started.home) if "studies/" not in one]
        assert not traces, "no patient value outside the images and what is sealed"


@pytest.mark.parametrize(
    ("archive", "retrieve", "seed"),
    [
        ("Orthanc", "move", 1),
        *(
            pytest.param(archive, retrieve, seed, marks=pytest.mark.long)
            for archive in ("Orthanc", "dcmqrscp")
            for retrieve in ("move", "get")
            for seed in range(2, 5)
        ),
    ],
)
def test_every_gap_of_a_pushed_study_is_found_and_filled(
    archive: str, retrieve: str, seed: int, started: World, tmp_path: Path, phantom: PhantomStudy
) -> None:
    """REC-10: a sender drops instances at random; its archive is asked, and what is missing is pulled before it is stable."""
    files, some = sorted(phantom.files), random.Random(seed)
    dropped = set(some.sample(files, some.randint(1, len(files) - 1)))
    with filled(archive, tmp_path / "archive", started, files) as (port, called):
        visitor = Visitor(started)
        set_nodes(started, node("archive", port, called, retrieve=retrieve, completeness="pull"))
        sent(started.dicom_port, [one for one in files if one not in dropped], calling=called, called="RANVIER_SCP")
        stable_study(started, len(files))
        assert kept(started) == {digest(dataset_bytes(path)) for path in files}
        (said,) = started.rows("SELECT * FROM completeness")
        assert (said["state"], said["held"], said["pulls"]) == ("whole", len(files), 1)
        (pull,) = visitor.get("/api/pulls")["items"]
        assert (pull["reason"], pull["completed"]) == ("missing", len(dropped))


@pytest.mark.long
@pytest.mark.parametrize("archive", ["Orthanc", "dcmqrscp"])
def test_what_is_lost_on_the_way_of_a_pull_is_found_and_filled(
    archive: str, started: World, tmp_path: Path, phantom: PhantomStudy
) -> None:
    """REC-10: instances vanish between the archive and us though it counts each as sent; it is asked again for them."""
    files = sorted(phantom.files)
    with (
        a_lossy_way(started.dicom_port, some=random.Random(7), share=0.3) as way,
        filled(archive, tmp_path / "archive", started, files, port_of_ours=way.port) as (port, called),
    ):
        visitor = Visitor(started)
        set_nodes(started, node("archive", port, called, completeness="pull", compare="study"))
        (pull,) = ended(visitor, visitor.post("/api/nodes/archive/pulls", {"study_uids": [phantom.study_uid]})["items"])
        assert (pull["state"], pull["completed"]) == ("DONE", len(files)), "the archive believes that everything came"
        stable_study(started, len(files))
        assert way.lost
        assert kept(started) == {digest(dataset_bytes(path)) for path in files}
        (said,) = started.rows("SELECT * FROM completeness")
        assert (said["state"], said["held"], said["expected"]) == ("whole", len(files), len(files))


def test_what_the_source_cannot_give_holds_the_study_with_the_figure(tmp_path: Path, phantom: PhantomStudy) -> None:
    """REC-10: the archive does not know us as a destination; the study stops in QC with '10 of 12', as report and API say."""
    files = sorted(phantom.files)
    with a_world(tmp_path / "world") as world, an_archive(tmp_path / "archive", world, knows_us=False) as archive:
        for word in ("receive", "api", "work"):
            world.start(word)
        ready(world)
        sent(archive.port, files, calling="SCANNER", called="ORTHANC")
        visitor = Visitor(world)
        set_nodes(world, node("archive", archive.port, "ORTHANC", completeness="pull"))
        sent(world.dicom_port, files[2:], calling="ORTHANC", called="RANVIER_SCP")
        order = world.the_order()
        until(lambda: world.the_order().state == "QC_FAILED", "quality control", PATIENCE_S)
        findings = {one["check"]: one for one in visitor.get(f"/api/orders/{order.id}/qc")["findings"]}
        assert findings["completeness"]["verdict"] == "failed"
        assert f"{len(files) - 2} of {len(files)} instances that archive holds" in findings["completeness"]["found"]
        (pull,) = visitor.get("/api/pulls")["items"]
        assert pull["state"] == "FAILED"
        assert pull["detail"]
        visitor.post(f"/api/orders/{order.id}/bypass", {"reason": "The rest is enough."})
        until(lambda: bool(world.the_order().passport), "the passport", PATIENCE_S)
        passport = visitor.get(f"/api/orders/{order.id}/passport")
        assert passport["source"] == {"expected": len(files), "held": len(files) - 2}


def test_priors_of_a_patient_come_from_an_archive_of_dcmtk(started: World, tmp_path: Path, phantom: PhantomStudy) -> None:
    """REC-10: dcmqrscp has an earlier study of the patient and one of somebody else; only the first is pulled."""
    visitor, port = Visitor(started), a_free_port()
    earlier, foreign = tmp_path / "earlier", tmp_path / "foreign"
    for folder, change in (
        (earlier, {"StudyInstanceUID": "2.25.77"}),
        (foreign, {"PatientID": "ELSE-1", "StudyInstanceUID": "2.25.78"}),
    ):
        folder.mkdir()
        for number, file in enumerate(sorted(phantom.files)[:4]):
            dataset = pydicom.dcmread(file)
            for keyword, value in change.items():
                setattr(dataset, keyword, value)
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(f"{dataset.StudyInstanceUID}.{number}")
            dataset.SeriesInstanceUID = f"{dataset.StudyInstanceUID}.9"
            dataset.save_as(folder / f"{number}.dcm")
    with a_dcmqrscp(tmp_path / "dcmqr", started, port):
        for folder in (earlier, foreign):
            sent(port, files_of(folder), calling="SCANNER", called="DCMQR")
        set_nodes(started, node("dcmtk", port, "DCMQR", completeness="say", compare="study"))
        started.send(phantom.folder)
        until(lambda: bool(started.rows("SELECT id FROM studies WHERE state = 'STABLE'")), "the study", PATIENCE_S)
        (study,) = started.rows("SELECT id FROM studies")
        pulls = ended(visitor, visitor.post(f"/api/studies/{study['id']}/priors", {"node": "dcmtk"})["items"])
        assert [(one["state"], one["completed"]) for one in pulls] == [("DONE", 4)], pulls
        until(lambda: len(started.rows("SELECT id FROM studies WHERE state = 'STABLE'")) == 2, "the prior", PATIENCE_S)
        assert len({row["pseudonym"] for row in started.rows("SELECT pseudonym FROM studies")}) == 1
        assert visitor.post(f"/api/studies/{study['id']}/priors", {"node": "dcmtk"})["items"] == []


def test_a_node_that_is_away_or_refuses_is_told_in_words(started: World) -> None:
    """REC-10: nobody listens; a pull is tried again, ends as failed, and says why; a foreign pick is refused."""
    visitor, port = Visitor(started), a_free_port()
    set_nodes(started, node("away", port, "NOBODY"))
    with pytest.raises(urllib.error.HTTPError) as refused:
        visitor.post("/api/nodes/away/find", {"patient_id": "X"})
    assert refused.value.code == 503
    assert "nothing listens there" in json.load(refused.value)["detail"]
    (pull,) = ended(visitor, visitor.post("/api/nodes/away/pulls", {"study_uids": ["1.2.3"]})["items"])
    assert (pull["state"], pull["attempt"]) == ("FAILED", 3)
    assert "nothing listens there" in pull["detail"]
    with pytest.raises(urllib.error.HTTPError) as refused:
        visitor.post("/api/nodes/away/pulls", {"picks": ["AAAA"]})
    assert refused.value.code == 400


def test_the_command_line_finds_pulls_and_waits(started: World, tmp_path: Path, phantom: PhantomStudy) -> None:
    """REC-10: `ranvier nodes find` and `pull --wait`, as an administrator types them."""
    files = sorted(phantom.files)[:5]
    with an_archive(tmp_path / "archive", started) as archive:
        sent(archive.port, files, calling="SCANNER", called="ORTHANC")
        set_nodes(started, node("archive", archive.port, "ORTHANC"))
        url, token = f"http://{HOST}:{started.api_port}", Visitor(started).token

        def ranvier(*words: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, "-m", "tui", "nodes", *words],
                env={**os.environ, "RANVIER_URL": url, "RANVIER_TOKEN": token},
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )

        found = json.loads(ranvier("find", "archive", "--patient-id", phantom.patient.patient_id, "--json").stdout)
        (series,) = json.loads(ranvier("find", "archive", "--pick", found["items"][0]["pick"], "--json").stdout)["items"]
        images = ranvier("find", "archive", "--pick", series["pick"], "--level", "image", "--json")
        assert len(json.loads(images.stdout)["items"]) == series["instances"] == len(files)
        pulled = ranvier("pull", "archive", found["items"][0]["pick"], "--wait")
        assert pulled.returncode == 0, pulled.stderr
        assert "DONE" in pulled.stdout
        stable_study(started, len(files))
