"""The supervisor: a killed child comes back with a growing pause, SIGTERM drains all, a killed supervisor leaves nobody."""

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import psutil

from appliance.house import HOME_VARIABLE
from tests.journeys.world import REPOSITORY, World, a_world
from tests.servers import HOST, until

KINDS = ("receive", "work", "api")


def supervised(world: World) -> subprocess.Popen[bytes]:
    environment = {**os.environ, HOME_VARIABLE: str(world.home), "PYTHONPATH": str(REPOSITORY)}
    log = (world.home.parent / "serve.out").open("ab")
    child = subprocess.Popen(
        [sys.executable, "-m", "appliance", "serve"], env=environment, stdout=log, stderr=log, cwd=world.home
    )
    log.close()
    world.running["serve"] = child
    return child


def children(supervisor: subprocess.Popen[bytes]) -> dict[str, psutil.Process]:
    """The kept processes by kind."""
    found = {}
    for child in psutil.Process(supervisor.pid).children():
        try:
            words = child.cmdline()
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
        for kind in KINDS:
            if words[-1:] == [kind]:
                found[kind] = child
    return found


def healthy(world: World) -> bool:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{world.api_port}/api/health", timeout=5) as answer:
            return b'"status":"ok"' in answer.read().replace(b" ", b"")
    except (OSError, urllib.error.URLError):
        return False


def test_killed_children_come_back_and_a_request_to_end_ends_all(tmp_path: Path) -> None:
    """REC-08: faults restart with capped back-off; APP-04: SIGTERM drains."""
    with a_world(tmp_path / "world") as world:
        supervisor = supervised(world)
        until(lambda: healthy(world), "the appliance", 90)
        before = children(supervisor)
        assert set(before) == set(KINDS)
        for kind in KINDS:
            before[kind].send_signal(signal.SIGKILL)
        until(lambda: set(children(supervisor)) == set(KINDS), "the children to come back", 60)
        after = children(supervisor)
        assert all(after[kind].pid != before[kind].pid for kind in KINDS)
        until(lambda: healthy(world), "the appliance to be well again", 90)
        died = world.rows("SELECT body FROM events WHERE name = 'process-died'")
        assert len(died) == len(KINDS)
        supervisor.send_signal(signal.SIGTERM)
        assert supervisor.wait(60) == 0
        assert not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in after.values())
        del world.running["serve"]


def test_a_killed_supervisor_takes_its_children_with_it(tmp_path: Path) -> None:
    with a_world(tmp_path / "world") as world:
        supervisor = supervised(world)
        until(lambda: healthy(world), "the appliance", 90)
        kept = children(supervisor)
        world.kill("serve")
        until(lambda: not any(one.is_running() for one in kept.values()), "the children to end", 60)
        assert supervisor.returncode == -signal.SIGKILL
