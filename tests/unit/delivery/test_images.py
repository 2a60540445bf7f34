"""Images of a study to real archives: resumed from the ledger, refused, gone on again when somebody asks."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from pydicom import dcmread
from pydicom.uid import JPEGLSLossless

from appliance.delivery import destinations
from appliance.delivery.parcel import Result, Shipment
from appliance.delivery.section import DicomStudy, StowStudy
from tests.phantoms import a_small_diffusion_study
from tests.servers import HOST, Orthanc, StoreScp, a_free_port, a_storescp, an_orthanc


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return sorted(a_small_diffusion_study(tmp_path_factory.mktemp("images") / "study").files)[:8]


@pytest.fixture
def shipment(files: list[Path], tmp_path: Path) -> Shipment:
    names = [one.name for one in files]
    return Shipment(folder=files[0].parent, names=names, digest="ab" * 32, ledger=tmp_path / "sending" / "ledger.txt")


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    plugin = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
    folder = tmp_path_factory.mktemp("orthanc") / "web"
    with an_orthanc(folder, Plugins=[plugin], DicomWeb={"Enable": True, "Root": "/dicom-web/"}) as server:
        yield server


def to(pacs: StoreScp | Orthanc) -> DicomStudy:
    return DicomStudy(name="ARCHIVE", host=HOST, port=pacs.port, called_ae=pacs.ae_title, timeout_s=20)


async def test_what_the_ledger_names_is_not_sent_again_and_a_torn_line_is(shipment: Shipment, storescp: StoreScp) -> None:
    shipment.ledger.parent.mkdir()
    shipment.ledger.write_text(
        f"{shipment.digest}\n0000 {shipment.names[0]}\nB000 {shipment.names[1]}\n0000 {shipment.names[2]}"
    )
    found = await destinations.send_study(shipment, to(storescp))
    assert (found.result, found.answer) == (Result.SENT_WITH_WARNING, "8 of 8 images stored, 1 with a warning")
    assert len(storescp.files()) == 6
    again = await destinations.send_study(shipment, to(storescp))
    assert again == found and storescp.log.read_text(errors="replace").count("Association Received") <= 2


async def test_a_ledger_of_other_files_or_of_an_earlier_sending_counts_for_nothing(
    shipment: Shipment, storescp: StoreScp
) -> None:
    first = await destinations.send_study(shipment, to(storescp))
    assert first.result is Result.SENT
    for one in storescp.files():
        one.unlink()
    for change in ({"digest": "cd" * 32}, {"digest": "cd" * 32, "afresh": True}):
        wanted = msgspec.structs.replace(shipment, **change)
        assert (await destinations.send_study(wanted, to(storescp))).result is Result.SENT
        assert len(storescp.files()) == 8
        for one in storescp.files():
            one.unlink()


async def test_the_files_arrive_as_they_lie(shipment: Shipment, storescp: StoreScp) -> None:
    assert (await destinations.send_study(shipment, to(storescp))).result is Result.SENT
    ours = {dcmread(shipment.folder / name).SOPInstanceUID: dcmread(shipment.folder / name) for name in shipment.names}
    for path in storescp.files():
        arrived = dcmread(path)
        assert arrived == ours[arrived.SOPInstanceUID]
        assert arrived.file_meta.TransferSyntaxUID == ours[arrived.SOPInstanceUID].file_meta.TransferSyntaxUID


async def test_an_archive_that_breaks_off_is_tried_again_and_gets_the_rest(shipment: Shipment, tmp_path: Path) -> None:
    with a_storescp(tmp_path / "aborting", "--abort-after") as pacs:
        found = await destinations.send_study(shipment, to(pacs))
        assert found.result is Result.TRY_AGAIN and "of 8 images stored; PACS ended the association" in found.answer
    with a_storescp(tmp_path / "refusing", "--refuse") as pacs:
        assert (await destinations.send_study(shipment, to(pacs))).result is not Result.SENT
    nobody = DicomStudy(name="ARCHIVE", host=HOST, port=a_free_port(), timeout_s=2)
    assert (await destinations.send_study(shipment, nobody)).result is Result.TRY_AGAIN
    with a_storescp(tmp_path / "well") as pacs:
        assert (await destinations.send_study(shipment, to(pacs))).result is Result.SENT


async def test_images_in_a_syntax_that_the_archive_does_not_take_are_refused_before_anything_is_sent(
    shipment: Shipment, tmp_path: Path
) -> None:
    """storescp without options takes uncompressed images only."""
    folder = tmp_path / "compressed"
    folder.mkdir()
    for number, name in enumerate(shipment.names[:2]):
        one = dcmread(shipment.folder / name)
        if number:
            one.compress(JPEGLSLossless)
        one.save_as(folder / name)
    mixed = msgspec.structs.replace(shipment, folder=folder, names=shipment.names[:2])
    with a_storescp(tmp_path / "plain", "+xi") as pacs:
        found = await destinations.send_study(mixed, to(pacs))
        assert found.result is Result.REFUSED and "transfer syntax" in found.answer
        assert pacs.files() == []
        plain = msgspec.structs.replace(mixed, names=shipment.names[:1])
        assert (await destinations.send_study(plain, to(pacs))).result is Result.SENT


async def test_dicomweb_gets_them_in_requests_of_a_few_and_goes_on_from_the_ledger(
    shipment: Shipment, web: Orthanc, monkeypatch: pytest.MonkeyPatch
) -> None:
    from appliance.delivery import images

    section = StowStudy(name="web", url=f"http://{HOST}:{web.http_port}/dicom-web", own_machine=True)
    assert (await destinations.probe(section)).ok
    monkeypatch.setattr(images, "REQUEST_BYTES", 1)
    shipment.ledger.parent.mkdir()
    shipment.ledger.write_text(f"{shipment.digest}\n0000 {shipment.names[0]}\n")
    found = await destinations.send_study(shipment, section)
    assert (found.result, found.answer) == (Result.SENT, "8 of 8 images stored")
    assert web.get("/statistics")["CountInstances"] == 7
    wrong = msgspec.structs.replace(section, url=f"http://{HOST}:{web.http_port}/nowhere")
    other = msgspec.structs.replace(shipment, digest="ef" * 32)
    assert (await destinations.send_study(other, wrong)).result is Result.REFUSED


async def test_the_test_of_a_study_destination_asks_for_an_echo_and_stores_nothing(storescp: StoreScp) -> None:
    found = await destinations.probe(to(storescp))
    assert found.ok and "C-ECHO succeeded." in found.lines
    assert storescp.files() == []
