"""Reports to a PACS: DCMTK's storescp in its good and bad moods, Orthanc, and peers that answer one status each."""

import asyncio
import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, EncapsulatedPDFStorage, ImplicitVRLittleEndian, JPEG2000Lossless
from pynetdicom import AE, build_context, evt

from appliance.delivery import destinations
from appliance.delivery import dicom as dicom_pdf
from appliance.delivery.parcel import Parcel, Result
from appliance.delivery.section import DicomPdf
from appliance.moments import new_id, uid_of
from appliance.records.identities import PatientIdentity
from appliance.reports.encapsulate import encapsulate
from tests.servers import Orthanc, StoreScp, a_storescp
from tests.unit.delivery.parcels import PHI, a_parcel
from tests.unit.reports.samples import a_report

IDENTITY = PatientIdentity(
    patient_name="Müller^Jürgen",
    patient_id="PAT-0042",
    issuer="HOSPITAL",
    birth_date="19700102",
    sex="M",
    accession="ACC-77",
    study_instance_uid="1.2.826.0.1.3680043.10.1111.42",
    study_id="S1",
    study_date="20261120",
    study_time="101500",
    study_description="MRI brain",
    referring_physician="House^Gregory",
    character_set="ISO_IR 100",
)


def a_dicom_parcel(folder: Path) -> Parcel:
    uid = uid_of(new_id())
    made = encapsulate(
        b"%PDF-1.4 report",
        IDENTITY,
        content=a_report(),
        sop_instance_uid=uid,
        series_instance_uid=uid_of(a_report().report),
        now=datetime(2026, 11, 22, 13, 31, tzinfo=UTC),
    )
    (folder / "019a_report.dcm").write_bytes(made)
    return a_parcel(folder, files={"dicom-pdf": folder / "019a_report.dcm"}, sop_instance_uid=uid)


def to(peer: Any, **changes: Any) -> DicomPdf:
    return DicomPdf(name="PACS", host=peer.host, port=peer.port, **{"called_ae": peer.ae_title, "timeout_s": 10, **changes})


class Peer:
    """A pynetdicom SCP that answers C-STORE with one status."""

    host = "127.0.0.1"
    ae_title = "PEER"

    def __init__(self, port: int) -> None:
        self.port = port
        self.stored: list[str] = []


@contextlib.contextmanager
def a_peer(port: int, status: int | None = 0, **how: Any) -> Iterator[Peer]:
    """A peer for the time of a block; `status` None aborts. `syntaxes`, `classes` and `only_for` make it choosy."""
    peer = Peer(port)

    def stored(event: Any) -> Any:
        peer.stored.append(str(event.request.AffectedSOPInstanceUID))
        if status is None:
            event.assoc.abort()
            return 0xC000
        answer = Dataset()
        answer.Status = status
        answer.ErrorComment = PHI
        return answer

    entity = AE(ae_title=peer.ae_title)
    entity.require_called_aet = how.get("require_called", False)
    entity.require_calling_aet = how.get("only_for", [])
    entity.maximum_associations = how.get("most", 10)
    for sop_class in how.get("classes", [EncapsulatedPDFStorage]):
        entity.add_supported_context(sop_class, how.get("syntaxes", [ImplicitVRLittleEndian]))
    server: Any = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, stored)])
    try:
        yield peer
    finally:
        server.shutdown()


async def test_a_pacs_takes_the_report_and_keeps_every_byte_of_the_pdf(tmp_path: Path, storescp: StoreScp) -> None:
    """RES-02: DICOM Encapsulated PDF by C-STORE to DCMTK's storescp."""
    parcel = a_dicom_parcel(tmp_path)
    outcome = await destinations.send(parcel, to(storescp))
    assert (outcome.result, outcome.answer) == (Result.SENT, "C-STORE answered 0000H (success)")
    (file,) = storescp.files()
    kept = dcmread(file)
    assert kept.SOPInstanceUID == parcel.sop_instance_uid
    assert bytes(kept.EncapsulatedDocument)[: kept.EncapsulatedDocumentLength] == b"%PDF-1.4 report"


async def test_a_second_sending_is_the_same_object(tmp_path: Path, storescp: StoreScp) -> None:
    """RES-04: after a death between sending and recording the receiver still has one object."""
    parcel = a_dicom_parcel(tmp_path)
    for _ in range(2):
        assert (await dicom_pdf.send(parcel, to(storescp))).result is Result.SENT
    assert len(storescp.files()) == 1


async def test_orthanc_files_the_report_under_the_original_patient_and_study(tmp_path: Path, orthanc: Orthanc) -> None:
    """RES-05: the returned report carries the original patient, study and accession identity."""
    scan = dcmread(a_dicom_parcel(tmp_path).files["dicom-pdf"])
    scan.Modality, scan.SeriesInstanceUID, scan.SOPInstanceUID = "MR", "1.2.3.4.5", "1.2.3.4.5.1"
    scan.file_meta.MediaStorageSOPInstanceUID = scan.SOPInstanceUID
    scan.save_as(tmp_path / "scan.dcm")
    before = a_parcel(tmp_path, files={"dicom-pdf": tmp_path / "scan.dcm"})
    assert (await dicom_pdf.send(before, to(orthanc))).result is Result.SENT
    (patient,), (study,) = orthanc.get("/patients"), orthanc.get("/studies")

    report = a_dicom_parcel(tmp_path)
    assert (await dicom_pdf.send(report, to(orthanc))).result is Result.SENT

    assert orthanc.get("/patients") == [patient]
    assert orthanc.get("/studies") == [study]
    found = orthanc.get(f"/studies/{study}")
    assert len(found["Series"]) == 2
    assert found["MainDicomTags"]["AccessionNumber"] == "ACC-77"
    assert found["MainDicomTags"]["StudyInstanceUID"] == IDENTITY.study_instance_uid
    assert found["PatientMainDicomTags"]["PatientName"] == "Müller^Jürgen"
    assert found["PatientMainDicomTags"]["PatientID"] == "PAT-0042"
    filed = [orthanc.tags(one) for one in orthanc.get("/instances")]
    (pdf,) = [one for one in filed if one["Modality"] == "DOC"]
    assert pdf["SOPInstanceUID"] == report.sop_instance_uid
    assert pdf["IssuerOfPatientID"] == "HOSPITAL"


@pytest.mark.parametrize(
    ("mood", "result", "words"),
    [
        (("--refuse",), Result.REFUSED, "rejected the association for good"),
        (("--abort-during",), Result.TRY_AGAIN, "broke off"),
        (("--abort-after",), Result.TRY_AGAIN, "broke off"),
        (("--sleep-during", "20"), Result.TRY_AGAIN, "broke off"),
    ],
)
async def test_a_misbehaving_pacs_is_judged_rightly(tmp_path: Path, mood: tuple[str, ...], result: Result, words: str) -> None:
    """Faults row 19: refuse, abort, sleep."""
    with a_storescp(tmp_path / "pacs", *mood) as pacs:
        outcome = await dicom_pdf.send(a_dicom_parcel(tmp_path), to(pacs, timeout_s=2))
    assert outcome.result is result
    assert words in outcome.answer


@pytest.mark.parametrize(
    ("status", "result"),
    [
        *((one, Result.SENT_WITH_WARNING) for one in (0xB000, 0xB006, 0xB007, 0x0111, 0x0107, 0x0116)),
        *((one, Result.TRY_AGAIN) for one in (0xA700, 0xA702, 0x0110, 0x0213)),
        *((one, Result.REFUSED) for one in (0xA900, 0xC000, 0xC123, 0x0122, 0x0124, 0x0117)),
    ],
)
async def test_each_status_has_its_outcome(tmp_path: Path, free_port: int, status: int, result: Result) -> None:
    """RES-02 and faults row 20: warnings are delivered with warning; the peer's error comment is never repeated."""
    with a_peer(free_port, status) as peer:
        outcome = await dicom_pdf.send(a_dicom_parcel(tmp_path), to(peer))
    assert outcome.result is result
    assert f"{status:04X}H" in outcome.answer
    assert PHI not in outcome.answer
    assert len(peer.stored) == 1


async def test_a_peer_that_aborts_in_the_middle_is_tried_again(tmp_path: Path, free_port: int) -> None:
    with a_peer(free_port, None) as peer:
        outcome = await dicom_pdf.send(a_dicom_parcel(tmp_path), to(peer))
    assert outcome.result is Result.TRY_AGAIN


async def test_a_permanent_rejection_is_final_and_a_transient_one_is_not(tmp_path: Path, free_port: int) -> None:
    parcel = a_dicom_parcel(tmp_path)
    with a_peer(free_port, require_called=True) as peer:
        wrong = await dicom_pdf.send(parcel, to(peer, called_ae="OTHER"))
    assert (wrong.result, wrong.answer) == (
        Result.REFUSED,
        "OTHER rejected the association for good: it does not know the called AE title",
    )
    with a_peer(free_port, only_for=["SOMEBODY"]) as peer:
        unknown = await dicom_pdf.send(parcel, to(peer))
    assert "it does not know the calling AE title" in unknown.answer
    with a_peer(free_port, most=1) as peer:
        other = AE().associate(peer.host, peer.port, [build_context(EncapsulatedPDFStorage)])
        full = await dicom_pdf.send(parcel, to(peer))
        other.release()
    assert (full.result, full.answer) == (
        Result.TRY_AGAIN,
        "PEER rejected the association for now: its limit of associations is reached",
    )


async def test_a_rejection_is_read_even_when_the_peer_hangs_up_at_once(tmp_path: Path) -> None:
    rejection = bytes([3, 0, 0, 0, 0, 4, 0, 2, 3, 1])  # PS3.8 table 9-21: transient, presentation, temporary congestion

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = int.from_bytes((await reader.readexactly(6))[2:], "big")
        await reader.readexactly(length)
        writer.write(rejection)
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        parcel = a_dicom_parcel(tmp_path)
        for _ in range(10):
            outcome = await dicom_pdf.send(parcel, DicomPdf(name="PACS", host="127.0.0.1", port=port, timeout_s=10))
            assert (outcome.result, outcome.answer) == (
                Result.TRY_AGAIN,
                "PACS rejected the association for now: it is congested",
            )


@pytest.mark.parametrize("how", [{"classes": [CTImageStorage]}, {"syntaxes": [JPEG2000Lossless]}])
async def test_a_peer_that_takes_no_such_object_is_refused_with_words(
    tmp_path: Path, free_port: int, how: dict[str, Any]
) -> None:
    with a_peer(free_port, **how) as peer:
        outcome = await dicom_pdf.send(a_dicom_parcel(tmp_path), to(peer))
    assert (outcome.result, outcome.answer) == (
        Result.REFUSED,
        "PEER takes no Encapsulated PDF in a transfer syntax that we speak",
    )


async def test_a_host_that_is_down_or_unknown_is_tried_again(tmp_path: Path, free_port: int) -> None:
    parcel = a_dicom_parcel(tmp_path)
    for host, words in (
        ("127.0.0.1", "no association with PACS: no connection, no answer, or an abort"),
        ("pacs.invalid", "the name pacs.invalid is not known to the network"),
    ):
        outcome = await dicom_pdf.send(parcel, DicomPdf(name="PACS", host=host, port=free_port, timeout_s=5))
        assert (outcome.result, outcome.answer) == (Result.TRY_AGAIN, words)


async def test_a_parcel_without_a_dicom_object_is_refused(tmp_path: Path, free_port: int) -> None:
    outcome = await dicom_pdf.send(a_parcel(tmp_path), DicomPdf(name="PACS", host="127.0.0.1", port=free_port))
    assert outcome.result is Result.REFUSED


async def test_the_probe_associates_and_echoes_and_stores_nothing(storescp: StoreScp, free_port: int) -> None:
    """RES-02: test delivery does association, negotiated classes and C-ECHO."""
    good = await destinations.probe(to(storescp))
    assert good.ok
    assert good.lines == [
        "PACS accepted the association.",
        "It takes Encapsulated PDF Storage.",
        "C-ECHO succeeded.",
        "Nothing was stored by this test.",
    ]
    assert storescp.files() == []
    down = await destinations.probe(DicomPdf(name="PACS", host="127.0.0.1", port=free_port, timeout_s=5))
    assert not down.ok


async def test_the_probe_says_when_the_class_is_not_taken(free_port: int) -> None:
    with a_peer(free_port, classes=["1.2.840.10008.1.1"]) as peer:
        found = await destinations.probe(to(peer))
    assert not found.ok
    assert "It does not take Encapsulated PDF Storage." in found.lines


def test_what_a_parcel_must_hold_follows_from_the_protocol(free_port: int) -> None:
    assert destinations.needs(DicomPdf(name="PACS", host="127.0.0.1", port=free_port)) == ("dicom-pdf",)
