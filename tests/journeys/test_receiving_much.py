"""Much at once: objects larger than memory should hold, studies of many instances, and the peak hour of a hospital group."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import psutil
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian

from appliance.records import events
from tests.matrix import tried
from tests.phantoms import PhantomStudy
from tests.receiving import Receiver, Section, every_study, only_study, opened, until_async
from tests.senders import Sent
from tests.wire import Caller, pdu, pdv, status_of, store_command, variants

ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"
FRAMES = 8_800
MB = 1 << 20
MOST_GROWTH = 64 * MB


class Watch:
    """The largest resident set of a process while a block runs, above what it was before."""

    def __init__(self, receiver: Receiver) -> None:
        assert receiver.process is not None
        self._process = psutil.Process(receiver.process.pid)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._most = 0
        self.growth = 0

    def __enter__(self) -> "Watch":
        self._before = self._most = self._process.memory_info().rss
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self.growth = self._most - self._before

    def _look(self) -> None:
        while not self._done.wait(0.02):
            self._most = max(self._most, self._process.memory_info().rss)


def template(path: Path, **values: object) -> Sent:
    """A phantom's instance with other attributes, in Explicit VR Little Endian."""
    dataset = pydicom.dcmread(path)
    for name, value in values.items():
        setattr(dataset, name, value)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    written = BytesIO()
    dataset.save_as(written, enforce_file_format=True)
    content = written.getvalue()
    data = content[132 + 12 + int.from_bytes(content[140:144], "little") :]
    return Sent(str(dataset.SOPClassUID), str(dataset.SOPInstanceUID), str(ExplicitVRLittleEndian), data)


def streamed(caller: Caller, sent: Sent, head: bytes, pixels: int) -> int | None:
    """Sends an instance whose pixels are made while they are sent; gives the status."""
    caller.wire.sendall(pdu(0x04, pdv(1, 0x03, store_command(sent))))
    size = min(caller.longest, 128 * 1024) - 6
    for start in range(0, len(head), size):
        caller.wire.sendall(pdu(0x04, pdv(1, 0x00, head[start : start + size])))
    whole = pdu(0x04, pdv(1, 0x00, b"\x5a" * size))
    for _ in range(pixels // size):
        caller.wire.sendall(whole)
    caller.wire.sendall(pdu(0x04, pdv(1, 0x02, b"\x5a" * (pixels % size))))
    kind, body = caller.read()
    return status_of(body) if kind == 0x04 else None


def without_pixels(sent: Sent) -> bytes:
    return sent.data[: sent.data.rindex(b"\xe0\x7f\x10\x00")]


def pixel_element(count: int) -> bytes:
    return b"\xe0\x7f\x10\x00OW\0\0" + count.to_bytes(4, "little")


def frame_items() -> bytes:
    """Per-frame Functional Groups (5200,9230) with 8,800 items of undefined length, each with a position."""
    position = b"\x20\x00\x32\x00DS\x06\x001\\2\\3 "
    plane = b"\x20\x00\x13\x91SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + position
    plane += b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0"
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + plane + b"\xfe\xff\x0d\xe0\0\0\0\0"
    return b"\x00\x52\x30\x92SQ\0\0\xff\xff\xff\xff" + item * FRAMES + b"\xfe\xff\xdd\xe0\0\0\0\0"


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with Receiver(tmp_path_factory.mktemp("much"), Section(quiet_seconds=2)) as one:
        yield one


async def _of_bytes(receiver: Receiver, sop_instance: str, size: int) -> None:
    """Waits until an instance of this size is filed, and compares its length on the disk."""
    async with opened(receiver.home) as house:
        key = house.keys.digest("sop-uid", sop_instance)

        async def is_filed() -> bool:
            return bool(await house.records.run("SELECT id FROM instances WHERE sop_key = {}", key))

        await until_async(is_filed, "the large instance is filed", 300)
        (row,) = await house.records.run("SELECT bytes, path FROM instances WHERE sop_key = {}", key)
        assert row["bytes"] == size
        path = house.storage.absolute(row["path"])
        with path.open("rb") as file:
            start = file.read(148)
            begin = 132 + 12 + int.from_bytes(start[140:144], "little")
        assert path.stat().st_size - begin == size
        path.unlink()


@pytest.mark.parametrize(
    "pixels", [pytest.param(96 * MB, id="96 MB"), pytest.param(2048 * MB - 4096, id="2 GB", marks=pytest.mark.long)]
)
async def test_a_large_instance_streams_to_the_disk(
    receiver: Receiver, phantom: PhantomStudy, pixels: int, record_property: Callable[[str, object], None]
) -> None:
    """REC-01: memory does not grow with the object."""
    sent = template(phantom.files[0], SOPInstanceUID=f"2.25.96{pixels}", StudyInstanceUID="2.25.961")
    head = without_pixels(sent) + pixel_element(pixels)
    with Watch(receiver) as watch, Caller(receiver.port, [(sent.sop_class, sent.transfer_syntax)], patience=300) as caller:
        assert streamed(caller, sent, head, pixels) == 0
        await _of_bytes(receiver, sent.sop_instance, len(head) + pixels)
    assert watch.growth < MOST_GROWTH, f"{watch.growth / MB:.0f} MB"
    record_property("memory growth, MB", round(watch.growth / MB, 1))
    tried(
        "an instance of 2 GB",
        injected="96 MB quickly, 2 GB in the long set, sent while it is made",
        happened="streamed to the disk and filed with every byte; memory grows by less than 64 MB",
    )


@pytest.mark.parametrize("edge", [pytest.param(32, id="32 x 32"), pytest.param(128, id="128 x 128", marks=pytest.mark.long)])
async def test_an_enhanced_object_of_8800_frames_streams_to_the_disk(
    receiver: Receiver, phantom: PhantomStudy, edge: int, record_property: Callable[[str, object], None]
) -> None:
    """REC-01: its functional groups are long, and nobody reads them to answer or to file."""
    pixels = edge * edge * 2 * FRAMES
    identity = {"SOPClassUID": ENHANCED_MR, "SOPInstanceUID": f"2.25.88{edge}", "StudyInstanceUID": "2.25.881"}
    sent = template(phantom.files[0], NumberOfFrames=FRAMES, Rows=edge, Columns=edge, **identity)
    head = without_pixels(sent) + frame_items() + pixel_element(pixels)
    with Watch(receiver) as watch, Caller(receiver.port, [(sent.sop_class, sent.transfer_syntax)], patience=300) as caller:
        assert streamed(caller, sent, head, pixels) == 0
        await _of_bytes(receiver, sent.sop_instance, len(head) + pixels)
    assert watch.growth < MOST_GROWTH, f"{watch.growth / MB:.0f} MB"
    record_property("memory growth, MB", round(watch.growth / MB, 1))
    tried(
        "an enhanced object of 8,800 frames",
        injected="functional groups of undefined length for each frame; 32 x 32 pixels quickly, 128 x 128 in the long set",
        happened="streamed to the disk and filed with every byte; memory grows by less than 64 MB",
    )


@pytest.mark.parametrize("count", [600, pytest.param(20_000, marks=pytest.mark.long)])
async def test_a_study_of_many_instances_is_stable_once(
    tmp_path: Path, phantom: PhantomStudy, count: int, record_property: Callable[[str, object], None]
) -> None:
    """REC-06, faults row 17: over two associations at once."""
    sent = template(phantom.files[0])
    with Receiver(tmp_path / "home", Section(quiet_seconds=2)) as receiver, ThreadPoolExecutor(2) as pool:
        began = time.monotonic()
        halves = [
            pool.submit(_send_all, receiver.port, list(variants(sent, count // 2, number * count // 2))) for number in (0, 1)
        ]
        assert sum((one.result() for one in halves), Counter()) == {0: count}
        record_property("instances a second", round(count / (time.monotonic() - began)))
        async with opened(receiver.home) as house:
            await _all_stable(house, 1, 120)
            study = await only_study(house)
            assert (study.instances, study.version) == (count, 1)
            assert [one.name for one in await events.after(0)].count("study-stable") == 1
    tried(
        "a study of 20,000 instances",
        injected="over two associations at once; 600 quickly, 20,000 in the long set",
        happened="every instance is stored, the study is one version and stable once",
    )


def _send_all(port: int, instances: list[Sent]) -> "Counter[int | None]":
    with Caller(port, [(instances[0].sop_class, instances[0].transfer_syntax)], patience=120) as caller:
        return Counter(caller.store(one) for one in instances)


async def _all_stable(house: object, count: int, seconds: float) -> None:
    async def ready() -> bool:
        found = await every_study(house)
        return len(found) == count and all(str(one.state) == "STABLE" for one in found)

    await until_async(ready, f"{count} studies are stable", seconds)


def test_associations_that_ended_leave_no_memory_behind(receiver: Receiver, phantom: PhantomStudy) -> None:
    """A megabyte was left by each of them once."""
    sent = template(phantom.files[0])
    _send_all(receiver.port, [sent])
    with Watch(receiver) as watch:
        for _ in range(60):
            assert _send_all(receiver.port, [sent]) == {0: 1}
    assert watch.growth < 20 * MB, f"{watch.growth / MB:.0f} MB"


# --- the peak hour ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """Studies of one modality in the hour; instances as such a study usually has, where the source gives no number."""

    modality: str
    sop_class: str
    studies: int
    instances: int


PEAK_HOUR = (
    Kind("DX", "1.2.840.10008.5.1.4.1.1.1.1", 120, 2),
    Kind("US", "1.2.840.10008.5.1.4.1.1.6.1", 50, 20),
    Kind("CT", "1.2.840.10008.5.1.4.1.1.2", 30, 324),
    Kind("MR", "1.2.840.10008.5.1.4.1.1.4", 25, 240),
)
SENDERS = 8


@pytest.mark.parametrize("share", [0.1, pytest.param(1.0, marks=pytest.mark.long)])
async def test_the_peak_hour_of_a_hospital_group_is_received_whole(tmp_path: Path, phantom: PhantomStudy, share: float) -> None:
    """REC-04, REC-06: an hour's studies as fast as eight devices send them; none refused, all complete, memory flat."""
    plan = [
        (kind, number, max(1, int(kind.instances * share)))
        for kind in PEAK_HOUR
        for number in range(max(1, int(kind.studies * share)))
    ]
    random.Random(7).shuffle(plan)
    with Receiver(tmp_path / "home", Section(quiet_seconds=2)) as receiver, ThreadPoolExecutor(SENDERS) as pool:

        def one(job: tuple[Kind, int, int]) -> "Counter[int | None]":
            kind, number, count = job
            root = f"2.25.3{PEAK_HOUR.index(kind)}{number:04d}"
            sent = template(
                phantom.files[0],
                SOPClassUID=kind.sop_class,
                Modality=kind.modality,
                StudyInstanceUID=root,
                SeriesInstanceUID=root + "1",
                PatientID=f"PEAK{kind.modality}{number}",
                SOPInstanceUID=f"2.25.3{PEAK_HOUR.index(kind)}{number:04d}00000000000",
            )
            return _send_all(receiver.port, list(_numbered(sent, count)))

        assert receiver.process is not None
        process = psutil.Process(receiver.process.pid)
        third = len(plan) // 3
        statuses = sum(pool.map(one, plan[:third]), Counter())
        early = process.memory_info().rss
        statuses += sum(pool.map(one, plan[third:]), Counter())
        assert statuses == {0: sum(count for *_, count in plan)}
        async with opened(receiver.home) as house:
            await _all_stable(house, len(plan), 120)
            found = Counter(study.instances for study in await every_study(house))
            assert found == Counter(count for *_, count in plan)
            assert all(study.version == 1 for study in await every_study(house))
        assert process.memory_info().rss - early < 32 * MB
    tried(
        "the peak hour of a hospital group",
        injected="120 XR, 50 US, 30 CT of 324 and 25 MR of 240 slices from eight senders without a pause; quickly, a tenth",
        happened="nothing is refused, every study is complete and stable once, memory stays flat",
    )


def _numbered(sent: Sent, count: int) -> Iterator[Sent]:
    """Instances whose UIDs begin with that of the first."""
    old = sent.sop_instance
    for number in range(count):
        uid = f"{old[:-6]}{number:06d}"
        yield Sent(sent.sop_class, uid, sent.transfer_syntax, sent.data.replace(old.encode(), uid.encode()))
