"""A site's own products through the whole appliance: one that works, one that kills its stage again and again."""

import glob
import io
import json
import re
import shutil
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import psutil

from appliance.compute import landlock
from appliance.house import House
from appliance.moments import now_ms
from appliance.pipeline import cancel, open_order
from appliance.states import OrderState
from tests.house.tree import ROOT
from tests.journeys.world import PATIENCE_S, World, a_world, ready
from tests.phantoms import PhantomStudy, a_small_diffusion_study
from tests.servers import until

MANIFEST = """
id = "poison"
version = "1"
title = "Poison"
intended_use = "Test."
command = ["python3", "-c", "import os; os.kill(os.getppid(), 9)"]
"""


BAD = {
    "hoards": "kept = bytearray(os.urandom(1024)) * (1024 * 500); signal.pause()",
    "garbage": "open(out + '/result.json', 'w').write('42 apples')",
    "too-large": "[open(out + f'/{n}', 'wb').write(os.urandom(1 << 20)) for n in range(4)]; signal.pause()",
    "leads-out": "os.symlink('/etc/passwd', out + '/map.nii'); open(out + '/result.json', 'w').write('{}')",
    "writes-outside": "open(os.path.dirname(os.path.abspath('.')) + '/mine', 'w')",
    "hangs": "open(out + '/begun', 'w'); signal.pause()",
}
"""Product -> what its command does."""
TAUGHT = {
    "hoards": "out-of-memory",
    "garbage": "product-result-unreadable",
    "too-large": "output-too-large",
    "leads-out": "output-not-plain",
    "writes-outside": "product-command-failed",
}
"""Product -> how its run must end."""


def bad_products(folder: Path) -> None:
    for name, body in BAD.items():
        (folder / name).mkdir()
        program = f"import os, signal; out = os.environ['MERCURE_OUT_DIR']; {body}"
        manifest = MANIFEST.replace('"poison"', f'"{name}"') + "memory_mb = 400\nout_mb = 2\n"
        command = f'command = ["python3", "-c", {json.dumps(program)}]'
        manifest = "\n".join(command if line.startswith("command") else line for line in manifest.splitlines())
        (folder / name / "manifest.toml").write_text(manifest)


def check_that_each_is_refused_by_name(world: World, study: str) -> None:
    """One order for all of them: the one product that works is reported, and the report names the others."""
    expected = {name: code for name, code in TAUGHT.items() if name != "writes-outside" or landlock.version()}

    async def opened(house: House) -> str:
        products = ["count-images", *expected]
        return await open_order(house, study, actor="test", now=now_ms(), products=products)

    order = world.ask(opened)
    world.wait_for(order, OrderState.DELIVERED)
    runs = world.rows("SELECT product, state, code, detail FROM product_runs WHERE order_id = {}", order)
    found = {str(row["product"]): row for row in runs}
    assert found.pop("count-images")["state"] == "DONE"
    assert {name: row["code"] for name, row in found.items()} == expected
    used = re.search(r"used (\d+) MB of the 400 MB", str(found["hoards"]["detail"]))
    assert used is not None, "the figure stands with the run"
    assert 400 <= int(used[1]) < 1000
    assert not (world.home / "products" / "mine").exists()


def check_that_a_running_command_is_cancelled(world: World, study: str, record: Callable[[str, object], None]) -> None:
    """The time is recorded, not judged: it must be below two seconds on a machine that is not busy otherwise."""

    async def opened(house: House) -> str:
        return await open_order(house, study, actor="test", now=now_ms(), products=["hangs"])

    async def cancelled(house: House) -> None:
        await cancel(house, order, actor="test", now=now_ms())

    order = world.ask(opened)
    begun = str(world.home / "storage" / "scratch" / "*" / "*" / "out" / "begun")
    until(lambda: bool(glob.glob(begun)), "the command", PATIENCE_S)
    stage = world.stage_child("product")
    assert stage is not None
    family = [stage, *stage.children(recursive=True)]
    asked = time.monotonic()
    world.ask(cancelled)
    world.wait_for(order, OrderState.CANCELLED)
    record("seconds_from_cancel_to_cancelled", round(time.monotonic() - asked, 2))
    assert not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in family)


def identity_of(phantom: PhantomStudy) -> list[str]:
    """The words that would name the patient, or lead to him."""
    return [*phantom.identity_tokens, *phantom.uids]


def check_the_bundle(world: World, order: str, phantom: PhantomStudy) -> None:
    path = world.home / "storage" / "quarantine" / order / "support-bundle.zip"
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as bundle:
        parts = {name: bundle.read(name) for name in bundle.namelist()}
    names = ("order", "study", "events", "runs", "processing", "machine", "audit")
    assert set(parts) == {f"{name}.json" for name in names}
    order_part = json.loads(parts["order.json"])
    assert "SIGKILL" in order_part["crash"]
    assert json.loads(parts["study.json"])["instances"] == len(phantom.files)
    assert json.loads(parts["machine.json"])["packages"]["ranvier"]
    assert any(one["name"] == "stage-retried" for one in json.loads(parts["events.json"]))
    everything = b"".join([*parts.values(), *(name.encode() for name in parts)]).lower()
    for word in identity_of(phantom):
        assert word.encode().lower() not in everything, word


def test_a_sites_products_work_or_are_refused_and_a_poison_study_is_put_aside_with_a_bundle_without_identity(
    tmp_path: Path, record_testsuite_property: Callable[[str, object], None]
) -> None:
    """PRO-02, PRO-04, PRO-05, row 25 of the faults."""
    phantom = a_small_diffusion_study(tmp_path / "study")
    change = {"products": {"default_products": ["count-images"]}, "compute": {"attempts": 2}}
    with a_world(tmp_path / "world", change) as world:
        own = world.home / "products"
        shutil.copytree(ROOT / "appliance/docs/examples/count-images", own / "count-images")
        (own / "poison").mkdir()
        (own / "poison" / "manifest.toml").write_text(MANIFEST)
        bad_products(own)
        for word in ("receive", "work"):
            world.start(word)
        ready(world)
        world.send(tmp_path / "study")
        order = world.the_order()
        world.wait_for(order.id, OrderState.DELIVERED)
        (report,) = world.rows("SELECT content FROM reports")
        rows = {row["name"]: row["value"] for row in json.loads(report["content"])["sections"][0]["rows"]}
        assert rows["images"] == 42, "what the command of the example counted"

        async def again(house: House) -> str:
            return await open_order(house, order.study, actor="test", now=now_ms(), products=["poison"])

        second = world.ask(again)
        held = world.wait_for(second, OrderState.HELD)
        assert held.code == "poison-study"
        assert "SIGKILL" in held.detail
        check_the_bundle(world, second, phantom)
        check_that_each_is_refused_by_name(world, order.study)
        check_that_a_running_command_is_cancelled(world, order.study, record_testsuite_property)
        assert list((world.home / "storage" / "scratch").iterdir()) == []
        assert world.running["work"].poll() is None, "it took nothing else down"
