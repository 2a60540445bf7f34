"""A cohort on a Dask cluster with PostgreSQL: one worker of the cluster dies mid-stage, and everything is there once."""

import json
from pathlib import Path

import msgspec
import psutil

from appliance.house import House
from appliance.moments import now_ms
from appliance.pipeline import open_order
from appliance.states import OrderState
from tests.clusters import a_cluster
from tests.journeys.world import PATIENCE_S, HospitalSystem, a_world, ready
from tests.phantoms import a_small_diffusion_study
from tests.servers import until

COHORT = 5
MANIFEST = """
id = "slow"
version = "1"
title = "Slow"
intended_use = "Test."
command = ["sh", "-c", "sleep 4; echo '{\\"n\\": 1}' >$MERCURE_OUT_DIR/result.json"]
"""
HIS = {"protocol": "rest", "name": "HIS", "own_machine": True}
BODY = '{"id": "$order", "kind": "$kind"}'


def test_a_cohort_on_a_cluster_whose_worker_dies_mid_stage_completes_exactly_once(tmp_path: Path, postgres_url: str) -> None:
    """PRO-06, PRO-05, RES-04: the same pipeline on a Dask cluster over TLS and PostgreSQL, by settings alone."""
    a_small_diffusion_study(tmp_path / "study")
    hospital = HospitalSystem()
    (tmp_path / "cluster").mkdir()
    with a_cluster(tmp_path / "cluster", workers=2) as running:
        where = msgspec.to_builtins(running.cluster)
        change = {
            "products": {"default_products": ["slow"]},
            "compute": {
                "workers": 3,
                "scheduler": where["address"],
                "scheduler_ca": where["ca"],
                "scheduler_certificate": where["certificate"],
                "scheduler_key": where["key"],
            },
            "delivery": {
                "destinations": [{**HIS, "url": hospital.url, "body": BODY, "formats": ["json"]}],
                "first_wait_s": 0,
            },
        }
        with a_world(tmp_path / "world", change, postgres_url) as world:
            own = world.home / "products" / "slow"
            own.mkdir(parents=True)
            (own / "manifest.toml").write_text(MANIFEST)
            for word in ("receive", "work"):
                world.start(word)
            ready(world)
            world.send(tmp_path / "study")
            first = world.the_order()

            async def cohort(house: House) -> list[str]:
                return [await open_order(house, first.study, actor="test", now=now_ms()) for _ in range(COHORT - 1)]

            orders = [first.id, *world.ask(cohort)]
            until(lambda: running.busy_worker() is not None, "a stage on the cluster", PATIENCE_S)
            victim = running.busy_worker()
            assert victim is not None
            stage = running.stage_of(victim)
            victim.kill()
            victim.wait()
            if stage is not None:
                until(lambda: not stage.is_running() or stage.status() == psutil.STATUS_ZOMBIE, "the end of its stage")
            for order in orders:
                world.wait_for(order, OrderState.DELIVERED)
            assert {row["state"] for row in world.rows("SELECT state FROM product_runs")} == {"DONE"}
            assert len(world.rows("SELECT id FROM product_runs")) == COHORT
            assert len(world.rows("SELECT id FROM reports")) == COHORT, "one report an order"
            assert {row["state"] for row in world.rows("SELECT state FROM deliveries")} == {"SENT"}
            delivered = sorted(json.loads(body)["id"] for body in hospital.bodies.values())
            assert delivered == sorted(orders), "each report came once"
            retried = [json.loads(row["body"]) for row in world.rows("SELECT body FROM events WHERE name = 'stage-retried'")]
            # The stage that ran, and on a slow machine the one that the dead worker had been handed next.
            assert "PROCESSING" in [one["stage"] for one in retried]
            assert all("worker of the cluster died" in one["what"] for one in retried)
            assert list((world.home / "storage" / "scratch").iterdir()) == []
    hospital.close()
