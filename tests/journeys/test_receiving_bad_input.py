"""Receiving what is malformed, compressed in any way, too large for the disk, or an attack."""

import contextlib
import io
import random
import socket
import struct
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import ALL_TRANSFER_SYNTAXES

from appliance.records import events, studies
from appliance.states import StudyState
from tests.matrix import tried
from tests.phantoms import Patient, PhantomStudy, a_lossy_study
from tests.receiving import (
    Receiver,
    all_stable,
    bytes_below,
    echoes,
    filed,
    kept,
    opened,
    told,
    until_async,
)
from tests.senders import Sent, accepted, dataset_bytes, digest, send
from tests.servers import HOST

MR = "1.2.840.10008.5.1.4.1.1.4"
CT = "1.2.840.10008.5.1.4.1.1.2"


def _encoded(dataset: Dataset, *, implicit: bool = False) -> bytes:
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_dataset

    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = implicit, True
    write_dataset(stream, dataset)
    return stream.getvalue()


def _twins(path: Path) -> dict[str, tuple[Sent, int]]:
    """What devices send by mistake, made from one good file -> the answer it must get."""
    good = Sent.of(path)

    def without(keyword: str) -> bytes:
        dataset = pydicom.dcmread(path)
        delattr(dataset, keyword)
        return _encoded(dataset)

    def twin(data: bytes, **other: str) -> Sent:
        values = {"sop_class": good.sop_class, "sop_instance": good.sop_instance} | other
        return Sent(transfer_syntax=good.transfer_syntax, data=data, **values)

    return {
        "next to nothing": (twin(b"\0\0"), 0xC000),
        "text": (twin(b"<html>not found</html>" * 20), 0xC000),
        "random bytes": (twin(random.Random(7).randbytes(5000)), 0xC000),
        "no SOP Instance UID": (twin(without("SOPInstanceUID")), 0xC000),
        "truncated in its head": (twin(good.data[:40]), 0xC000),
        "other SOP instance than announced": (twin(good.data, sop_instance="1.2.3.4"), 0xA900),
        "other SOP class than announced": (twin(good.data, sop_class=CT), 0xA900),
        "a path for a UID": (twin(good.data, sop_instance="../../etc/passwd"), 0xC000),
        "no Study Instance UID": (twin(without("StudyInstanceUID")), 0x0000),
        "no Series Instance UID": (twin(without("SeriesInstanceUID"), sop_instance=good.sop_instance), 0x0000),
        "truncated behind its UIDs": (twin(good.data[: len(good.data) // 2]), 0x0000),
        "no Patient ID": (twin(without("PatientID")), 0x0000),
    }


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
async def test_bad_input_gets_the_status_of_its_cause_and_disturbs_nobody(receiver: Receiver, phantom: PhantomStudy) -> None:
    """REC-04: 0xC000 and 0xA900 keep nothing; acknowledged bytes that cannot be filed are quarantined with a reason."""
    good = Sent.of(phantom.files[1])
    for name, (instance, status) in _twins(phantom.files[0]).items():
        assert send(receiver.port, [instance, good]) == [status, 0], name
    async with opened(receiver.home) as house:
        await until_async(lambda: all_stable(house), "the study is settled")
        told = [row.event.text() for row in await events.after(0) if row.name == "instance-quarantined"]
        assert sorted(told) == [
            "An instance cannot be filed: it has no valid Series Instance UID.",
            "An instance cannot be filed: it has no valid Study Instance UID.",
        ]
        set_aside = sorted((house.storage.root / "quarantine").iterdir())
        assert len(set_aside) == 2
        assert all((one / "instance.dcm").exists() and (one / "reason.json").exists() for one in set_aside)
        assert (await kept(house))[digest(good.data)] == 1
    receiver.stop()
    for path, content in bytes_below(receiver.home):
        assert not any(token.encode() in content for token in phantom.identity_tokens), path.name
    tried(
        "data sets that are none, or not what was announced",
        injected="twelve errors of devices: no or other UIDs, text, random bytes, truncated in the head and behind it",
        happened="0xC000 or 0xA900 and nothing kept, or kept in quarantine with its reason; a good one is stored each time",
    )


@pytest.mark.needs_data
async def test_real_malformed_files_leave_the_receiver_well(receiver: Receiver, real_data: Path, phantom: PhantomStudy) -> None:
    """Faults row 15: each is answered, and everything acknowledged is filed or in quarantine."""
    acknowledged = 0
    for path in sorted((real_data / "malformed").rglob("*")):
        if not path.is_file() or not path.stat().st_size:
            # A C-STORE without any data set is no message; a sender that announces one only waits.
            continue
        announced = Sent(MR, "1.2.3.4.5", str(ExplicitVRLittleEndian), path.read_bytes())
        with contextlib.suppress(Exception):
            announced = Sent.of(path)
        (status,) = send(receiver.port, [announced])
        assert status in (0x0000, 0xA900, 0xC000), path.name
        acknowledged += status == 0
    assert send(receiver.port, [Sent.of(phantom.files[0])]) == [0]
    async with opened(receiver.home) as house:

        async def settled() -> bool:
            aside = len(list((house.storage.root / "quarantine").iterdir()))
            return sum((await kept(house)).values()) + aside == acknowledged + 1

        await until_async(settled, "everything acknowledged is filed or set aside")


def test_a_giant_pdu_is_cut_before_it_is_buffered(receiver: Receiver) -> None:
    """Faults section 6: a length of 4 GiB, in any type of PDU, ends the connection within a second."""
    for kind in (0x01, 0x04, 0x07):
        begin = time.monotonic()
        with socket.create_connection((HOST, receiver.port), timeout=5) as wire:
            wire.sendall(struct.pack(">BBL", kind, 0, 0xFFFFFFF0))
            with contextlib.suppress(ConnectionError):
                while True:
                    wire.sendall(b"\0" * 65536)
                    if time.monotonic() - begin > 5:
                        pytest.fail("the receiver went on reading")
        assert time.monotonic() - begin < 2
    assert accepted(receiver.port, MR)


# --- transfer syntaxes ------------------------------------------------------------------------------------------------


def _in_syntaxes(path: Path, folder: Path) -> list[Sent]:
    """One instance in every native syntax, and one whose compressed pixels nobody may decode."""
    found = []
    for number, syntax in enumerate(
        (ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian)
    ):
        dataset = pydicom.dcmread(path)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(f"2.25.4711.{number}")
        dataset.file_meta.TransferSyntaxUID = syntax
        target = folder / f"{number}.dcm"
        stream = io.BytesIO()
        pydicom.dcmwrite(
            stream,
            dataset,
            enforce_file_format=True,
            little_endian=syntax != ExplicitVRBigEndian,
            implicit_vr=syntax == ImplicitVRLittleEndian,
        )
        target.write_bytes(stream.getvalue())
        found.append(Sent.of(target))
    return found


async def test_every_transfer_syntax_is_kept_bit_by_bit(receiver: Receiver, phantom: PhantomStudy, tmp_path: Path) -> None:
    """REC-01: native, deflated, big endian and compressed data sets are filed as they came."""
    lossy = a_lossy_study(tmp_path / "lossy", patient=Patient(patient_id="P2"), seed=2)
    instances = [*_in_syntaxes(phantom.files[0], tmp_path), Sent.of(lossy.files[0])]
    pretended = Sent.of(phantom.files[2])
    for number, syntax in enumerate(ALL_TRANSFER_SYNTAXES):
        if str(syntax) not in {one.transfer_syntax for one in instances}:
            # The bytes are explicit little endian in all of them; what the pixels are is nobody's business here.
            uid = f"2.25.1{number:0>{len(pretended.sop_instance) - 6}}"
            data = pretended.data.replace(pretended.sop_instance.encode(), uid.encode())
            instances.append(Sent(MR, uid, str(syntax), data))
    assert send(receiver.port, instances) == [0] * len(instances)
    async with opened(receiver.home) as house:
        await filed(house, len(instances))
        assert await kept(house) == Counter(digest(one.data) for one in instances)
        everything = [one for state in StudyState for one in await studies.in_state(state)]
        found = {row.transfer_syntax for study in everything for row in await studies.instances(study.id, 1)}
        assert found == {one.transfer_syntax for one in instances}
    tried(
        "compressed, deflated and big endian",
        injected="an instance in every transfer syntax of the standard over one association",
        happened="each is stored bit by bit and nothing is decoded; quality control names lossy ones later",
    )


@pytest.mark.needs_data
async def test_real_files_of_many_transfer_syntaxes_are_kept_bit_by_bit(receiver: Receiver, real_data: Path) -> None:
    """REC-01, faults row 18: JPEG, JPEG-LS, JPEG 2000, HTJ2K, RLE, deflated and big endian of other people's encoders."""
    instances = [Sent.of(path) for path in sorted((real_data / "transfer_syntaxes").rglob("*.dcm"))]
    for one in instances:
        assert send(receiver.port, [one]) == [0], one.transfer_syntax
    wanted = {digest(one.data) for one in instances}
    async with opened(receiver.home) as house:

        async def all_kept() -> bool:
            # Two of them have no Study Instance UID.
            aside = [digest(dataset_bytes(one)) for one in (house.storage.root / "quarantine").glob("*/instance.dcm")]
            return {*await kept(house), *aside} == wanted and len(aside) == 2

        await until_async(all_kept, "every file is kept as it came")


# --- the disk ---------------------------------------------------------------------------------------------------------


async def test_a_full_disk_refuses_instances_and_nothing_else(receiver: Receiver, phantom: PhantomStudy) -> None:
    """REC-04, faults row 4: 0xA700, C-ECHO goes on, one event tells, and there is no trace of what was refused."""
    instances = [Sent.of(path) for path in phantom.files[:4]]
    assert send(receiver.port, instances[:1]) == [0]
    receiver.free_file.write_text("1000000")
    assert send(receiver.port, instances[1:3]) == [0xA700, 0xA700]
    assert echoes(receiver.port)
    async with opened(receiver.home) as house:
        await until_async(lambda: told("low-disk"), "the full disk is told")
        receiver.free_file.unlink()
        assert send(receiver.port, instances[1:]) == [0] * 3
        await filed(house, 4)
        assert [row.name for row in await events.after(0)].count("low-disk") == 1
        assert not list(receiver.home.rglob("*.part"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of 48 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)], capture_output=True).returncode:
        pytest.skip("only root can mount a small disk, and not everywhere")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)


async def test_a_disk_that_is_really_full_loses_nothing(small_disk: Path, phantom: PhantomStudy) -> None:
    """REC-04, faults rows 4 and 5: on a disk of 48 MB all that was acknowledged is filed, also after kill -9 and a restart."""
    with contextlib.ExitStack() as ends:
        receiver = ends.enter_context(Receiver(small_disk))
        big = Sent.of(phantom.files[0])
        acknowledged = []
        for number in range(60):
            uid = f"2.25.99.{number}"
            dataset = pydicom.dcmread(phantom.files[0])
            dataset.SOPInstanceUID = uid
            dataset.ImageComments = "x" * 10_000
            dataset.PixelData = bytes(1_000_000)
            instance = Sent(big.sop_class, uid, big.transfer_syntax, _encoded(dataset))
            (status,) = send(receiver.port, [instance])
            assert status in (0x0000, 0xA700)
            if status == 0:
                acknowledged.append(digest(instance.data))
        assert 5 < len(acknowledged) < 60
        receiver.kill()
        receiver.start()
        async with opened(small_disk) as house:
            await filed(house, len(acknowledged))
            assert await kept(house) == Counter(acknowledged)
        assert echoes(receiver.port)
    tried(
        "full disk while receiving",
        injected="sixty instances of 1 MB to a tmpfs of 48 MB, then kill -9 and a restart",
        happened="0xA700 from where it is full, what was acknowledged is filed; C-ECHO answered",
    )
