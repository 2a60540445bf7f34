"""A site's own products through the whole appliance: one that works, one that kills its stage again and again."""

import io
import json
import shutil
import zipfile
from pathlib import Path

from appliance.house import House
from appliance.moments import now_ms
from appliance.pipeline import open_order
from appliance.states import OrderState
from tests.house.tree import ROOT
from tests.journeys.world import World, a_world, ready
from tests.phantoms import PhantomStudy, a_small_diffusion_study

MANIFEST = """
id = "poison"
version = "1"
title = "Poison"
intended_use = "Test."
command = ["python3", "-c", "import os; os.kill(os.getppid(), 9)"]
"""


def identity_of(phantom: PhantomStudy) -> list[str]:
    """The words that would name the patient, or lead to him."""
    return [*phantom.identity_tokens, *phantom.uids]


def check_the_bundle(world: World, order: str, phantom: PhantomStudy) -> None:
    path = world.home / "storage" / "quarantine" / order / "support-bundle.zip"
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as bundle:
        parts = {name: bundle.read(name) for name in bundle.namelist()}
    assert set(parts) == {"order.json", "study.json", "events.json", "runs.json", "processing.json", "machine.json"}
    order_part = json.loads(parts["order.json"])
    assert "SIGKILL" in order_part["crash"]
    assert json.loads(parts["study.json"])["instances"] == len(phantom.files)
    assert json.loads(parts["machine.json"])["packages"]["ranvier"]
    assert any(one["name"] == "stage-retried" for one in json.loads(parts["events.json"]))
    everything = b"".join([*parts.values(), *(name.encode() for name in parts)]).lower()
    for word in identity_of(phantom):
        assert word.encode().lower() not in everything, word


def test_a_sites_product_is_reported_and_a_poison_study_is_put_aside_with_a_bundle_without_identity(tmp_path: Path) -> None:
    """PRO-02, PRO-04, PRO-05, row 25 of the faults."""
    phantom = a_small_diffusion_study(tmp_path / "study")
    change = {"products": {"default_products": ["count-images"]}, "compute": {"attempts": 2}}
    with a_world(tmp_path / "world", change) as world:
        own = world.home / "products"
        shutil.copytree(ROOT / "appliance/docs/examples/count-images", own / "count-images")
        (own / "poison").mkdir()
        (own / "poison" / "manifest.toml").write_text(MANIFEST)
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
        assert list((world.home / "storage" / "scratch").iterdir()) == []
        assert world.running["work"].poll() is None, "it took nothing else down"
