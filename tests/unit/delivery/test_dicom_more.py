"""Structured reports, STOW-RS, DICOM over TLS, signed requests: against Orthanc, DCMTK and an endpoint of our own."""

import hashlib
import hmac
import json
import ssl
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydicom import dcmread

from appliance.asking import SIGNATURE
from appliance.delivery import destinations
from appliance.delivery.parcel import Parcel, Result
from appliance.delivery.section import DicomPdf, DicomSc, DicomSr, Rest, StowRs
from appliance.fields import Secret
from tests.certificates import make
from tests.servers import HOST, Orthanc, StoreScp, a_storescp, an_orthanc
from tests.unit.delivery.parcels import PHI, a_parcel, an_endpoint
from tests.unit.delivery.test_dicom_pdf import a_dicom_parcel
from tests.unit.reports.test_encapsulate import SOP
from tests.unit.reports.test_structured import made

PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
AUTHORITY = make("authority", authority=True)
PACS = make("pacs", by=AUTHORITY)
OURS = make("ranvier", by=AUTHORITY)


@pytest.fixture(scope="module")
def web_pacs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with an_orthanc(tmp_path_factory.mktemp("pacs") / "orthanc", Plugins=[PLUGIN], DicomWeb={"Enable": True}) as server:
        yield server


def a_copied_parcel(folder: Path) -> Parcel:
    folder.mkdir()
    return a_parcel(folder, files=made(folder, "dicom-pdf", "dicom-sr", "dicom-sc"), sop_instance_uid=SOP)


def to_web(pacs: Orthanc, **changes: Any) -> StowRs:
    how = {"own_machine": True, "timeout_s": 20, **changes}
    return StowRs(name="Web", url=f"http://{HOST}:{pacs.http_port}/dicom-web", **how)


async def test_orthanc_takes_pdf_and_sr_by_stow_rs_and_sr_by_c_store_once(tmp_path: Path, web_pacs: Orthanc) -> None:
    """RES-02, RES-04, RES-07: STOW-RS and DICOM SR; a second sending leaves one object."""
    parcel = a_copied_parcel(tmp_path / "copies")
    sr = DicomSr(name="PACS", host=HOST, port=web_pacs.port, called_ae="ORTHANC", role_selection=True)
    for section in (to_web(web_pacs, objects="dicom-sr"), to_web(web_pacs, objects="dicom-sr"), sr):
        outcome = await destinations.send(parcel, section)
        assert outcome.result in (Result.SENT, Result.SENT_WITH_WARNING), outcome.answer
    (kept,) = web_pacs.get("/instances")
    assert web_pacs.tags(kept)["Modality"] == "SR"
    assert (await destinations.probe(to_web(web_pacs))).ok
    assert (await destinations.probe(sr)).ok
    assert not (
        await destinations.probe(msgspec.structs.replace(to_web(web_pacs), url=f"http://{HOST}:{web_pacs.http_port}/no"))
    ).ok


def a_stow_answer(sequence: str, reason: str, status: int) -> bytes:
    return json.dumps({sequence: {"vr": "SQ", "Value": [{reason: {"vr": "US", "Value": [status]}}]}}).encode()


@pytest.mark.parametrize(
    ("status", "body", "result"),
    [
        (200, b"", Result.SENT),
        (202, a_stow_answer("00081199", "00081196", 0xB000), Result.SENT_WITH_WARNING),
        (409, a_stow_answer("00081198", "00081197", 0x0111), Result.SENT_WITH_WARNING),
        (409, a_stow_answer("00081198", "00081197", 0xA900), Result.REFUSED),
        (409, a_stow_answer("00081198", "00081197", 0xA700), Result.TRY_AGAIN),
        (409, b"no reason", Result.REFUSED),
        (401, b"", Result.REFUSED),
        (503, b"", Result.TRY_AGAIN),
    ],
)
async def test_what_a_stow_server_says_of_the_instance_counts(status: int, body: bytes, result: Result, tmp_path: Path) -> None:
    """Faults row 20: warnings are delivered with a warning; all failed (409) has its reason in the body."""
    with an_endpoint((status, {"X-Body": body.decode()})) as endpoint:
        section = StowRs(name="Web", url=endpoint.url, own_machine=True, timeout_s=5)
        outcome = await destinations.send(a_dicom_parcel(tmp_path), section)
    assert outcome.result is result
    assert PHI not in outcome.answer
    assert endpoint.got[0]["path"].endswith("/studies")
    assert 'type="application/dicom"' in endpoint.got[0]["headers"]["Content-Type"]


def tls_options(folder: Path, *more: str) -> list[str]:
    for name, text in (("cert", PACS.certificate), ("key", PACS.key), ("ca", AUTHORITY.certificate)):
        (folder / f"{name}.pem").write_text(text)
    return ["+tls", str(folder / "key.pem"), str(folder / "cert.pem"), "+cf", str(folder / "ca.pem"), *more]


def over_tls(server: StoreScp, **changes: Any) -> DicomPdf:
    how = {"tls": True, "authority": AUTHORITY.certificate, "timeout_s": 10, **changes}
    return DicomPdf(name="PACS", host=HOST, port=server.port, called_ae="PACS", **how)


async def test_a_pacs_over_tls_takes_the_report_from_whom_it_knows(tmp_path: Path) -> None:
    """RES-02: TLS and mutual TLS against DCMTK; a host that is not trusted gets nothing, one that asks gets our certificate."""
    ours = {"certificate": OURS.certificate, "key": Secret(OURS.key)}
    with a_storescp(tmp_path / "mutual", *tls_options(tmp_path, "-rc")) as server:
        good = await destinations.send(a_dicom_parcel(tmp_path), over_tls(server, **ours))
        tested = await destinations.probe(over_tls(server, **ours))
        nameless = await destinations.send(a_dicom_parcel(tmp_path), over_tls(server))
        stranger = await destinations.send(
            a_dicom_parcel(tmp_path), over_tls(server, **ours, authority=make("x", authority=True).certificate)
        )
        unusable = await destinations.send(a_dicom_parcel(tmp_path), over_tls(server, certificate="no", key=Secret("no")))
        kept = server.files()
    assert good.result is Result.SENT, good.answer
    assert tested.ok
    assert nameless.result is Result.TRY_AGAIN
    assert (stranger.result, "not trusted" in stranger.answer) == (Result.TRY_AGAIN, True)
    assert unusable.result is Result.REFUSED
    assert len(kept) == 1


async def test_a_pacs_that_shows_no_pdf_takes_the_pages_as_pictures(tmp_path: Path, storescp: StoreScp) -> None:
    """RES-07: Secondary Capture by C-STORE; a second sending is the same object, and the test of the destination names it."""
    parcel = a_copied_parcel(tmp_path / "copies")
    section = DicomSc(name="P", host=HOST, port=storescp.port, called_ae="PACS", timeout_s=30)
    for _ in range(2):
        outcome = await destinations.send(parcel, section)
        assert outcome.result is Result.SENT, outcome.answer
    (kept,) = storescp.files()
    assert dcmread(kept).SOPInstanceUID == SOP
    assert "It takes Secondary Capture Storage." in (await destinations.probe(section)).lines


async def test_each_transfer_syntax_alone_is_enough(tmp_path: Path, storescp: StoreScp) -> None:
    """RES-02: the setting says which are proposed."""
    for one in ("explicit-little", "implicit-little", "deflated"):
        section = DicomPdf(name="P", host=HOST, port=storescp.port, called_ae="PACS", transfer_syntaxes=(one,), timeout_s=10)
        outcome = await destinations.send(a_dicom_parcel(tmp_path), section)
        assert outcome.result is Result.SENT, (one, outcome.answer)


async def test_a_signed_request_proves_sender_time_and_body(tmp_path: Path) -> None:
    """RES-02 (W): HMAC signature header, over the bytes that arrived."""
    with an_endpoint() as endpoint:
        section = Rest(name="HIS", url=endpoint.url, own_machine=True, signing_key=Secret("k3y"))
        assert (await destinations.send(a_parcel(tmp_path), section)).result is Result.SENT
        assert (await destinations.probe(section)).ok
    for got in endpoint.got:
        seconds, _, given = got["headers"][SIGNATURE].removeprefix("t=").partition(",v1=")
        expected = hmac.new(b"k3y", seconds.encode() + b"." + got["body"], hashlib.sha256).hexdigest()
        assert hmac.compare_digest(given, expected)


async def test_an_endpoint_that_asks_gets_our_certificate(tmp_path: Path) -> None:
    """RES-02: REST over mutual TLS."""
    (tmp_path / "server.pem").write_text(PACS.certificate + PACS.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    context.load_verify_locations(cadata=AUTHORITY.certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    how: dict[str, Any] = {"own_machine": True, "timeout_s": 5, "authority": AUTHORITY.certificate}
    with an_endpoint(tls=context) as endpoint:
        without = await destinations.send(a_parcel(tmp_path), Rest(name="HIS", url=endpoint.url, **how))
        ours = Rest(name="HIS", url=endpoint.url, certificate=OURS.certificate, key=Secret(OURS.key), **how)
        with_it = await destinations.send(a_parcel(tmp_path), ours)
    assert without.result is Result.TRY_AGAIN
    assert with_it.result is Result.SENT
    assert len(endpoint.got) == 1
