"""Reports into folders, to a real sshd, and to an MLLP listener."""

import asyncio
import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from appliance.delivery import destinations, hl7
from appliance.delivery.parcel import Parcel, Result
from appliance.delivery.section import Folder, Hl7, Sftp
from appliance.fields import Secret
from tests.servers import HOST, a_free_port, answers, program, running
from tests.unit.delivery.parcels import PHI, a_parcel

# --- folder ---


async def test_a_folder_gets_each_file_whole_and_once(tmp_path: Path) -> None:
    """RES-07: folder drop; a second sending finds the same file there."""
    target = tmp_path / "share"
    target.mkdir()
    section = Folder(name="Share", folder=str(target), formats=("pdf", "json"))
    first, second = [await destinations.send(a_parcel(tmp_path), section) for _ in range(2)]
    assert (first.result, second.result) == (Result.SENT, Result.SENT)
    assert "there already" in second.answer
    assert sorted(one.name for one in target.iterdir()) == ["019a_report.json", "019a_report.pdf"]
    assert (await destinations.probe(section)).ok
    assert len(list(target.iterdir())) == 2


async def test_a_share_that_is_not_mounted_is_waited_for(tmp_path: Path) -> None:
    section = Folder(name="Share", folder=str(tmp_path / "away"))
    assert (await destinations.send(a_parcel(tmp_path), section)).result is Result.TRY_AGAIN
    assert not (await destinations.probe(section)).ok
    assert not (tmp_path / "away").exists()


# --- SFTP ---


@dataclass
class Sshd:
    """OpenSSH's server with one user's key."""

    port: int
    host_key: str
    private_key: str
    user: str
    folder: Path


def a_key(file: Path) -> None:
    """A key pair, the public half beside it."""
    keygen = program("ssh-keygen", "openssh-client")
    subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(file)], check=True)


@contextlib.contextmanager
def an_sshd() -> Iterator[Sshd]:
    """sshd on a free port, as whoever runs the tests."""
    folder = Path(tempfile.mkdtemp(prefix="ranvier-sshd-"))
    port = a_free_port()
    for name in ("host", "user"):
        a_key(folder / name)
    shutil.copy(folder / "user.pub", folder / "authorized")
    (folder / "in").mkdir()
    lines = [
        f"Port {port}", f"ListenAddress {HOST}", f"HostKey {folder}/host", f"AuthorizedKeysFile {folder}/authorized",
        "StrictModes no", "UsePAM no", "PasswordAuthentication no", f"PidFile {folder}/pid", "PermitRootLogin yes",
        "Subsystem sftp internal-sftp",
    ]  # fmt: skip
    (folder / "config").write_text("\n".join(lines) + "\n")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    kind, key, *_ = (folder / "host.pub").read_text().split()
    found = Sshd(port, f"{kind} {key}", (folder / "user").read_text(), pwd.getpwuid(os.geteuid()).pw_name, folder / "in")
    argv = [program("sshd", "openssh-server"), "-D", "-e", "-f", str(folder / "config")]
    try:
        with running(argv, lambda: answers(port), folder / "log"):
            yield found
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    with an_sshd() as server:
        yield server


def to_sftp(server: Sshd, **changes: Any) -> Sftp:
    how = {
        "host_key": server.host_key,
        "user": server.user,
        "private_key": Secret(server.private_key),
        "folder": str(server.folder),
        "timeout_s": 20,
        **changes,
    }
    return Sftp(name="Drop", host=HOST, port=server.port, **how)


async def test_an_sftp_server_gets_the_file_under_its_name_and_again_the_same(tmp_path: Path, sshd: Sshd) -> None:
    """RES-07: SFTP, against OpenSSH."""
    for _ in range(2):
        outcome = await destinations.send(a_parcel(tmp_path), to_sftp(sshd))
        assert outcome.result is Result.SENT, outcome.answer
    (file,) = sshd.folder.iterdir()
    assert (file.name, file.read_bytes()) == ("019a_report.pdf", b"%PDF-1.4 report")
    assert (await destinations.probe(to_sftp(sshd))).ok


async def test_a_host_with_another_key_gets_nothing_and_wrong_sign_ins_are_told(tmp_path: Path, sshd: Sshd) -> None:
    before = list(sshd.folder.iterdir())
    a_key(tmp_path / "k")
    other = " ".join((tmp_path / "k.pub").read_text().split()[:2])
    for changes, word in (
        ({"host_key": other}, "another host key"),
        ({"private_key": Secret((tmp_path / "k").read_text())}, "did not accept"),
        ({"private_key": Secret("no key")}, "private key"),
        ({"folder": str(tmp_path / "nowhere")}, "not there"),
    ):
        outcome = await destinations.send(a_parcel(tmp_path), to_sftp(sshd, **changes))
        assert outcome.result is Result.REFUSED
        assert word in outcome.answer
    assert list(sshd.folder.iterdir()) == before


async def test_an_sftp_server_that_is_away_is_tried_again(tmp_path: Path, sshd: Sshd) -> None:
    section = Sftp(name="Drop", host=HOST, port=a_free_port(), host_key=sshd.host_key, user="u", password=Secret("x"))
    assert (await destinations.send(a_parcel(tmp_path), section)).result is Result.TRY_AGAIN


# --- HL7 over MLLP ---

MESSAGE = b"MSH|^~\\&|RANVIER||||20261122||ORU^R01^ORU_R01|ID|P|2.5.1\rPID|1\r"
DELIVERY = "019ab6de-1f2a-7c3d-8e4f-5a6b7c8d9e0f"


def an_hl7_parcel(folder: Path) -> Parcel:
    (folder / "019a_report.hl7").write_bytes(MESSAGE)
    return a_parcel(folder, files={"hl7": folder / "019a_report.hl7"}, delivery=DELIVERY)


@contextlib.asynccontextmanager
async def a_listener(answer: bytes | None) -> AsyncIterator[tuple[int, list[bytes]]]:
    """An MLLP listener that gives one answer, breaks off without one, or says nothing where the answer is empty."""
    got: list[bytes] = []

    async def heard(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            got.append(await reader.readuntil(hl7.END))
            if answer:
                writer.write(hl7.START + answer + hl7.END)
            elif answer is not None:
                await reader.read()
        writer.close()

    server = await asyncio.start_server(heard, HOST, 0)
    async with server:
        yield server.sockets[0].getsockname()[1], got


def an_acknowledgement(code: str, control: str = "") -> bytes:
    return f"MSH|^~\\&|HIS||RANVIER||20261122||ACK|9|P|2.5.1\rMSA|{code}|{control or hl7.control_id(DELIVERY)}|{PHI}\r".encode()


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (an_acknowledgement("AA"), Result.SENT),
        (an_acknowledgement("CA"), Result.SENT),
        (an_acknowledgement("AE"), Result.REFUSED),
        (an_acknowledgement("AR"), Result.TRY_AGAIN),
        (an_acknowledgement("AA", "another"), Result.TRY_AGAIN),
        (b"HTTP/1.1 400 Bad Request", Result.TRY_AGAIN),
        (b"", Result.TRY_AGAIN),
        (None, Result.TRY_AGAIN),
    ],
)
async def test_the_acknowledgement_decides(answer: bytes | None, result: Result, tmp_path: Path) -> None:
    """RES-07: ORU^R01 over MLLP; the receiver's own words are never repeated."""
    async with a_listener(answer) as (port, got):
        section = Hl7(name="RIS", host=HOST, port=port, timeout_s=30 if answer or answer is None else 1)
        outcome = await destinations.send(an_hl7_parcel(tmp_path), section)
    assert outcome.result is result
    assert PHI not in outcome.answer
    assert got == [hl7.START + MESSAGE + hl7.END]


async def test_the_test_of_an_hl7_destination_sends_no_message(tmp_path: Path) -> None:
    """RES-02: 'Test delivery'."""
    async with a_listener(b"") as (port, got):
        assert (await destinations.probe(Hl7(name="RIS", host=HOST, port=port, timeout_s=10))).ok
    assert got == []
    assert not (await destinations.probe(Hl7(name="RIS", host=HOST, port=port, timeout_s=10))).ok
