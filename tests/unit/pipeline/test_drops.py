"""REC-12: a drop becomes a study once and only once, is answered with a receipt, and its name stays out of the records."""

import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from appliance import outgoing, settings
from appliance.drops import Dropbox, Receipt
from appliance.house import House
from appliance.receive import drop
from appliance.receive.section import DropFolder
from appliance.records import drops
from tests.phantoms import PhantomStudy, a_small_diffusion_study
from tests.unit.pipeline.conftest import NOW


class Site:
    """A watched folder, its appliance, and a clock that the test moves."""

    def __init__(self, house: House, folder: Path) -> None:
        self.house, self.at = house, 0.0
        for name in (drop.INCOMING, drop.OUTGOING):
            (folder / name).mkdir(parents=True)
        self.section = DropFolder(name="site", folder=str(folder), sender="SITE", settled_s=30)
        self.incoming, self.outgoing = folder / drop.INCOMING, folder / drop.OUTGOING
        self.box = self.begun()

    def begun(self) -> Dropbox:
        """The same folder in a process that has just started."""
        self.box = Dropbox(self.house, clock=lambda: NOW, monotonic=lambda: self.at)
        return self.box

    async def look(self, after_s: float = 31.0) -> None:
        """Looks, lets time pass, looks again, and has everything filed."""
        await self.box.look(self.section)
        self.at += after_s
        await self.box.look(self.section)
        await self.box.close()
        await self.box.look(self.section)

    def receipts(self) -> list[Receipt]:
        """The receipts, by the names that the site gave."""
        found = [msgspec.json.decode(one.read_bytes(), type=Receipt) for one in self.outgoing.glob("receipt_*.json")]
        return sorted(found, key=lambda one: one.name)

    async def instances(self) -> int:
        """How many instances are filed."""
        return int((await self.house.records.run("SELECT COUNT(*) AS n FROM instances"))[0]["n"])

    async def version(self) -> list[int]:
        """The versions of all studies."""
        return [int(one["version"]) for one in await self.house.records.run("SELECT version FROM studies")]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> PhantomStudy:
    return a_small_diffusion_study(tmp_path_factory.mktemp("drop") / "study")


@pytest.fixture
async def site(house: House, tmp_path: Path) -> AsyncIterator[Site]:
    found = Site(house, tmp_path / "site")
    yield found
    await found.box.close()


def zipped(study: PhantomStudy, path: Path, count: int = 4) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for number, file in enumerate(sorted(study.files)[:count]):
            archive.write(file, f"DICOM/{number}.dcm")
        archive.writestr("README.TXT", "hello")


async def test_a_zip_becomes_a_study_and_is_answered_with_a_receipt(site: Site, made: PhantomStudy) -> None:
    zipped(made, site.incoming / "MUELLER_ANNE.zip")
    await site.box.look(site.section)
    assert await site.instances() == 0, "it may still grow"
    await site.look()
    assert await site.instances() == 4
    (receipt,) = site.receipts()
    assert (receipt.name, receipt.state, receipt.stored, receipt.left_out) == ("MUELLER_ANNE.zip", "TAKEN", 4, 1)
    (row,) = await site.house.records.run("SELECT id, sender FROM studies")
    assert (receipt.studies, row["sender"]) == ([row["id"]], "SITE")
    assert not list(site.incoming.iterdir())
    found = await site.house.records.run("SELECT * FROM drops")
    assert "MUELLER" not in repr(found)
    assert not [one for one in site.outgoing.rglob("*") if "MUELLER" in one.name]
    assert outgoing.named(_with(site.section), "site/outgoing") is not None
    assert await outgoing.names(site.house.records, _with(site.section), row["id"], "report") == ["site/outgoing"]
    other = msgspec.structs.replace(site.section, name="other", sender="OTHER")
    assert await outgoing.names(site.house.records, _with(other), row["id"], "report") == []


def _with(folder: DropFolder) -> settings.Settings:
    found, _ = settings.patched(settings.Settings(), {"drops": {"folders": [msgspec.to_builtins(folder)]}})
    return found


async def test_the_same_study_again_under_another_name_changes_nothing(site: Site, made: PhantomStudy) -> None:
    zipped(made, site.incoming / "first.zip")
    await site.look()
    zipped(made, site.incoming / "second.zip")
    await site.look()
    assert (await site.instances(), await site.version()) == (4, [1])
    first, second = site.receipts()
    assert first.studies == second.studies


async def test_a_transfer_that_stalls_is_waited_for_and_then_refused(site: Site, made: PhantomStudy) -> None:
    whole = site.incoming.parent / "whole.zip"
    zipped(made, whole)
    (site.incoming / "a.zip").write_bytes(whole.read_bytes()[:-500])
    await site.look()
    assert site.receipts() == []
    await site.look(after_s=drop.PATIENCE * 30.0)
    (receipt,) = site.receipts()
    assert (receipt.state, receipt.detail) == ("REFUSED", "The archive is broken or not whole.")
    ((row,), _) = await drops.page()
    assert row.state == drops.REFUSED


async def test_a_folder_without_images_is_refused_in_words(site: Site) -> None:
    (site.incoming / "letters").mkdir()
    (site.incoming / "letters" / "letter.txt").write_text("hello")
    await site.look()
    (receipt,) = site.receipts()
    assert (receipt.state, receipt.detail) == ("REFUSED", "There is no DICOM image in it.")


@pytest.mark.parametrize("place", ["before the move", "behind the move", "half brought in", "before the receipt"])
async def test_a_death_at_any_step_brings_everything_in_once(site: Site, made: PhantomStudy, place: str) -> None:
    """REC-12: the next process takes up what was begun; nothing is lost and nothing is there twice."""
    zipped(made, site.incoming / "a.zip")
    if place == "before the receipt":
        await site.box.look(site.section)
        site.at += 31
        await site.box.look(site.section)
        await site.box.close()
    else:
        row = await drops.begin(site.house.keys, "site", b"a.zip", NOW)
        if place != "before the move":
            (site.incoming.parent / drop.TAKEN).mkdir(mode=0o700)
            drop.claim(site.section, site.incoming / "a.zip", row.id)
        if place == "half brought in":
            async with site.box._box.taking(None, sender="SITE", address="") as taking:
                drop.bring_in(taking, sorted(made.files)[:2])
            await site.box.close()
    site.begun()
    await site.look()
    assert (await site.instances(), await site.version()) == (4, [1])
    (receipt,) = site.receipts()
    assert (receipt.name, receipt.stored) == ("a.zip", 4)
    assert [one.state for one in (await drops.page())[0]] == [drops.DONE]
    assert [one.name for one in (site.incoming.parent / drop.TAKEN).iterdir()] == ["lock"]
