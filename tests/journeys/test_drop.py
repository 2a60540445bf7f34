"""REC-12: a site drops a study by SFTP into its own cage, and gets receipt, reports and table back the same way."""

import os
import pwd
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.drops import Receipt
from appliance.states import OrderState
from tests.journeys.world import PATIENCE_S, a_world
from tests.phantoms import PhantomStudy
from tests.servers import HOST, a_free_port, answers, program, running, until


@dataclass
class Site:
    """A hospital with an SFTP account of its own."""

    folder: Path
    port: int
    user: str
    key: Path
    root: str
    """What its account calls the folder."""

    def sftp(self, *commands: str) -> subprocess.CompletedProcess[str]:
        """Runs commands of OpenSSH's sftp."""
        options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "IdentitiesOnly=yes", "LogLevel=ERROR"]
        argv = [program("sftp", "openssh-client"), "-b", "-", "-P", str(self.port), "-i", str(self.key)]
        argv += [word for one in options for word in ("-o", one)]
        text = "".join(f"{one}\n" for one in commands)
        return subprocess.run(
            [*argv, f"{self.user}@{HOST}"], input=text, capture_output=True, text=True, timeout=60, check=False
        )


@pytest.fixture
def site() -> Iterator[Site]:
    """sshd with internal-sftp as the manual sets it up; the cage needs root, and a way to it that nobody else can write."""
    root = os.geteuid() == 0
    base = Path(tempfile.mkdtemp(prefix="ranvier-drop-", dir="/run" if root else None))
    base.chmod(0o755)
    user = "nobody" if root else pwd.getpwuid(os.geteuid()).pw_name
    folder, port = base / "site", a_free_port()
    for name in ("incoming", "outgoing"):
        (folder / name).mkdir(parents=True, mode=0o755)
    if root:
        os.chown(folder / "incoming", pwd.getpwnam(user).pw_uid, -1)
        Path("/run/sshd").mkdir(exist_ok=True)
    keygen = program("ssh-keygen", "openssh-client")
    for name in ("host", "user"):
        subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(base / name)], check=True)
    cage = [f"ChrootDirectory {folder}"] if root else []
    lines = [
        f"Port {port}", f"ListenAddress {HOST}", f"HostKey {base}/host", f"AuthorizedKeysFile {base}/user.pub",
        "StrictModes no", "UsePAM no", "PasswordAuthentication no", f"PidFile {base}/pid",
        "Subsystem sftp internal-sftp", f"Match User {user}", "ForceCommand internal-sftp", *cage,
    ]  # fmt: skip
    (base / "config").write_text("\n".join(lines) + "\n")
    argv = [program("sshd", "openssh-server"), "-D", "-e", "-f", str(base / "config")]
    try:
        with running(argv, lambda: answers(port), base / "log"):
            yield Site(folder, port, user, base / "user", "" if root else str(folder))
    finally:
        shutil.rmtree(base)


def an_appliance_for(site: Site, **fields: Any) -> dict[str, Any]:
    folder = {"name": "site", "folder": str(site.folder), "sender": "SITE", "settled_s": 1, **fields}
    return {"drops": {"folders": [folder]}}


def receipts(site: Site) -> list[Receipt]:
    found = sorted((site.folder / "outgoing").glob("receipt_*.json"))
    return [msgspec.json.decode(one.read_bytes(), type=Receipt) for one in found]


def dropped(site: Site, study: PhantomStudy, scratch: Path) -> None:
    """Puts a study there as a ZIP, under a name that changes when it is whole, as WinSCP does."""
    with zipfile.ZipFile(scratch / "study.zip", "w") as archive:
        for file in study.files:
            archive.write(file, file.name)
    root = site.root
    done = site.sftp(
        f"put {scratch}/study.zip {root}/incoming/study.zip.filepart",
        f"rename {root}/incoming/study.zip.filepart {root}/incoming/study.zip",
    )
    assert done.returncode == 0, done.stderr


def test_a_site_drops_a_zip_and_a_death_makes_no_second_order(site: Site, tmp_path: Path, phantom: PhantomStudy) -> None:
    """REC-12: from a caged account to an order; the worker is killed behind it and starts again: one order, one receipt."""
    with a_world(tmp_path / "world", {**an_appliance_for(site), "compute": {"paused": True}}) as world:
        world.start("receive")
        world.start("work")
        dropped(site, phantom, tmp_path)
        order = world.the_order()
        world.kill("work")
        world.start("work")
        until(lambda: len(receipts(site)) == 1, "the receipt", PATIENCE_S)
        (receipt,) = receipts(site)
        (study,) = world.rows("SELECT id, instances, version FROM studies")
        assert (receipt.name, receipt.studies, study["instances"]) == ("study.zip", [order.study], len(phantom.files))
        seen = site.sftp(f"ls -1 {site.root}/", f"get {site.root}/outgoing/receipt_{receipt.drop}.json {tmp_path}/mine")
        assert seen.returncode == 0, seen.stderr
        assert msgspec.json.decode((tmp_path / "mine").read_bytes(), type=Receipt) == receipt
        assert site.root or site.sftp("ls /.taken").returncode != 0, "out of the site's reach"
        until(lambda: [one["state"] for one in world.rows("SELECT state FROM drops")] == ["DONE"], "the drop", PATIENCE_S)
        assert ([one.id for one in world.orders()], study["version"]) == ([order.id], 1)


@pytest.mark.long
def test_reports_and_the_table_come_back_in_the_outgoing_folder(site: Site, tmp_path: Path, phantom: PhantomStudy) -> None:
    """REC-12: the order's report lies in `outgoing` as PDF and JSON, and its numbers stand in `results.csv`."""
    change = {**an_appliance_for(site), "scheduler": {"cadence": "every-minute"}}
    with a_world(tmp_path / "world", change) as world:
        world.start("receive")
        world.start("work")
        dropped(site, phantom, tmp_path)
        order = world.wait_for(world.the_order().id, OrderState.DELIVERED)
        table = site.folder / "outgoing" / "results.csv"
        until(table.exists, "the table", PATIENCE_S)
        assert order.id in table.read_text()
        kinds = {one.suffix for one in (site.folder / "outgoing").iterdir() if order.id[:8] in one.name or order.id in one.name}
        assert kinds == {".pdf", ".json"}
        assert phantom.patient.patient_id not in table.read_text()
