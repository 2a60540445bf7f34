"""kill -9 of the worker and of its child processes in every stage: the order still completes exactly once."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.states import OrderState
from tests.journeys.test_main_job import destinations
from tests.journeys.world import PATIENCE_S, HospitalSystem, World, a_world, ready
from tests.phantoms import PhantomStudy, a_small_diffusion_study
from tests.servers import StoreScp, until

STAGES = ("qc", "deidentify", "product", "report", "copies")


@pytest.fixture
def hospital() -> Iterator[HospitalSystem]:
    server = HospitalSystem()
    yield server
    server.close()


def caught(world: World, stage: str) -> int:
    """The process id of a stage's child, as soon as it runs."""
    found: list[int] = []

    def there() -> bool:
        child = world.stage_child(stage)
        if child is not None:
            found.append(child.pid)
        return child is not None

    until(there, f"the stage {stage}", PATIENCE_S)
    return found[0]


def check_that_it_happened_once(
    world: World, order: str, phantom: PhantomStudy, pacs: StoreScp, hospital: HospitalSystem
) -> None:
    world.wait_for(order, OrderState.DELIVERED)
    assert len(world.rows("SELECT id FROM reports")) == 1, "one report"
    (folder,) = world.rows("SELECT folder FROM reports")
    files = sorted(path.name for path in (world.home / "storage" / str(folder["folder"])).iterdir())
    assert len([name for name in files if name.endswith(".pdf")]) == 1, "one file set"
    sent = world.rows("SELECT destination, state FROM deliveries ORDER BY destination")
    assert sent == [{"destination": "HIS", "state": "SENT"}, {"destination": "PACS", "state": "SENT"}]
    assert len(pacs.files()) == 1, "one object at the PACS"
    assert len(hospital.bodies) == 1, "one object at the hospital's system"
    (count,) = world.rows("SELECT COUNT(*) AS n FROM instances")
    assert count["n"] == len(phantom.files), "every instance present"
    runs = world.rows("SELECT state FROM product_runs")
    assert runs == [{"state": "DONE"}]
    assert list((world.home / "storage" / "scratch").iterdir()) == [], "nothing half-done is left"


def begun(world: World, folder: Path) -> str:
    for word in ("receive", "work"):
        world.start(word)
    ready(world)
    world.send(folder)
    return world.the_order().id


def test_a_worker_killed_in_every_stage_leaves_one_report_and_one_delivery(
    tmp_path: Path, storescp: StoreScp, hospital: HospitalSystem
) -> None:
    """PRO-05, RES-04: the worker dies by kill -9 while each stage runs, and between sending and recording."""
    phantom = a_small_diffusion_study(tmp_path / "study")
    hold = threading.Event()
    with a_world(tmp_path / "world", {"delivery": destinations(storescp, hospital)}) as world:
        order = begun(world, tmp_path / "study")
        for stage in STAGES:
            if stage == "report":
                hospital.hold = hold
            caught(world, stage)
            world.kill("work")
            world.start("work")
        until(hospital.received.is_set, "the hospital's system to get the report", PATIENCE_S)
        world.kill("work")
        hospital.hold = None
        hold.set()
        world.start("work")
        check_that_it_happened_once(world, order, phantom, storescp, hospital)


def test_a_stage_killed_in_every_stage_leaves_one_report_and_one_delivery(
    tmp_path: Path, storescp: StoreScp, hospital: HospitalSystem
) -> None:
    """PRO-04, PRO-05: the child process of each stage dies by kill -9; the worker takes the stage up again."""
    phantom = a_small_diffusion_study(tmp_path / "study")
    with a_world(tmp_path / "world", {"delivery": destinations(storescp, hospital)}) as world:
        order = begun(world, tmp_path / "study")
        for stage in STAGES:
            os.kill(caught(world, stage), signal.SIGKILL)
        check_that_it_happened_once(world, order, phantom, storescp, hospital)
        names = [row["name"] for row in world.rows("SELECT name FROM events")]
        assert names.count("stage-retried") == len(STAGES) - 1
