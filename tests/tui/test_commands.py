"""The headless commands against the fake appliance on a real socket: output, JSON, exit codes."""

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.tui.facts import PASSWORD, PATIENT, USER, identifier
from tests.tui.serving import served
from tests.tui.world import World, with_a_flipped_table

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def ranvier(world: World, tmp_path: Path) -> Iterator[Run]:
    """Runs a command as a signed-in user with a home of its own."""
    with served(world) as url:
        environment = {
            **{name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ},
            "HOME": str(tmp_path),
            "RANVIER_URL": url,
            "RANVIER_TOKEN": world.token(),
        }

        def run(*words: str, given: str = "", **more: str) -> "subprocess.CompletedProcess[str]":
            kept = {**environment, **more}
            kept = {name: value for name, value in kept.items() if value}
            command = [sys.executable, "-m", "tui", *words]
            return subprocess.run(command, input=given, capture_output=True, text=True, env=kept, cwd=_root(), check=False)

        yield run


def _root() -> Path:
    return Path(__file__).resolve().parents[2]


def test_studies_are_listed_as_lines_without_a_terminal_and_without_patients(ranvier: Run) -> None:
    listed = ranvier("studies", "list")
    assert listed.returncode == 0
    assert len(listed.stdout.splitlines()) == 8
    assert listed.stdout.splitlines()[0].split("\t")[0] == identifier(0)
    assert not any(value in listed.stdout for key, value in PATIENT.items() if key not in {"sex", "study_date"})


def test_json_is_one_object_with_schema_and_version(ranvier: Run) -> None:
    document = json.loads(ranvier("studies", "list", "--json", "--limit", "3").stdout)
    assert (document["schema"], document["version"], len(document["items"])) == ("ranvier.studies.list", 1, 3)
    assert document["items"][0]["received_at"].endswith("Z")


def test_fields_and_ids_choose_what_is_printed(ranvier: Run) -> None:
    assert ranvier("studies", "list", "--ids", "--limit", "2").stdout.split() == [identifier(0), identifier(1)]
    assert ranvier("studies", "list", "--fields", "word,qc", "--limit", "1").stdout == "Receiving\t-\n"
    assert ranvier("studies", "list", "--fields", "nonsense").returncode == 64


def test_a_filter_goes_to_the_server_and_a_bad_one_is_wrong_usage(ranvier: Run) -> None:
    assert len(ranvier("studies", "list", "--filter", "status:delivered").stdout.splitlines()) == 1
    bad = ranvier("studies", "list", "--filter", "wrong:x")
    assert bad.returncode == 64
    assert "There is no filter called 'wrong'" in bad.stderr


def test_a_missing_study_is_66_and_nobody_there_is_69_and_no_session_is_77(ranvier: Run) -> None:
    assert ranvier("studies", "show", "ffffffff").returncode == 66
    nobody = ranvier("studies", "list", RANVIER_URL="http://127.0.0.1:9")
    assert (nobody.returncode, "Cannot reach http://127.0.0.1:9." in nobody.stderr) == (69, True)
    signed_out = ranvier("studies", "list", RANVIER_TOKEN="")
    assert (signed_out.returncode, "ranvier login" in signed_out.stderr) == (77, True)


def test_wrong_usage_is_64(ranvier: Run) -> None:
    assert [ranvier(*words).returncode for words in ([], ["nonsense"], ["studies"], ["orders", "bypass", "x"])] == [64] * 4
    assert ranvier("console").returncode == 64


def test_login_keeps_the_session_in_a_file_only_the_user_can_read(ranvier: Run, tmp_path: Path) -> None:
    done = ranvier("login", "--user", USER, "--password-file", "-", given=PASSWORD + "\n", RANVIER_TOKEN="")
    assert done.returncode == 0, done.stderr
    token = tmp_path / ".config" / "ranvier" / "token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert PASSWORD not in token.read_text()
    assert ranvier("studies", "list", RANVIER_TOKEN="").returncode == 0
    token.chmod(0o644)
    open_to_all = ranvier("studies", "list", RANVIER_TOKEN="")
    assert (open_to_all.returncode, "chmod 600" in open_to_all.stderr) == (77, True)


def test_a_wrong_password_is_77_and_says_the_tries_left(ranvier: Run) -> None:
    wrong = ranvier("login", "--user", USER, "--password-file", "-", given="x\n", RANVIER_TOKEN="")
    assert (wrong.returncode, "2 tries left" in wrong.stderr) == (77, True)


def test_orders_are_acted_upon_and_partly_is_2(ranvier: Run, world: World) -> None:
    order = world.studies[4]["order"]
    assert ranvier("orders", "cancel", order).stdout.split("\n")[0].endswith("Cancelled")
    assert ranvier("orders", "bypass", world.studies[3]["order"], "--reason", "telephone").returncode == 0
    assert world.bodies[-1][1] == {"reason": "telephone"}
    partly = ranvier("orders", "retry", order, "ffffffff-0000-7000-8000-000000000000")
    assert partly.returncode in {2, 70, 76}


def test_a_gradient_repair_is_agreed_to_and_pictures_are_saved(ranvier: Run, world: World, tmp_path: Path) -> None:
    """QC-04, QC-06: from a script."""
    world.qc = with_a_flipped_table()
    order = world.studies[3]["order"]
    shown = ranvier("orders", "qc", order, "--pictures", str(tmp_path / "pictures"))
    assert "the sign of x wrong (coherence 80 to 101)" in shown.stderr
    assert "Pad the head." in shown.stdout, "what to do stands in the table"
    assert [one.name for one in (tmp_path / "pictures").iterdir()] == [f"{identifier(3, 1)}_image-motion.png"]
    agreed = ranvier("orders", "repair", order)
    assert (agreed.returncode, agreed.stdout.split()[0]) == (0, order)
    assert ("POST", f"/api/orders/{order}/repair-gradients") in world.requests


def test_qc_that_failed_is_1_and_shows_found_and_expected(ranvier: Run, world: World) -> None:
    shown = ranvier("orders", "qc", world.studies[3]["order"])
    assert (shown.returncode, "an age" in shown.stdout) == (1, True)


def test_wait_ends_with_the_order_and_124_when_it_takes_too_long(ranvier: Run, world: World) -> None:
    assert ranvier("orders", "wait", world.studies[6]["order"]).returncode == 0
    assert ranvier("orders", "wait", world.studies[7]["order"]).returncode == 1
    assert ranvier("orders", "wait", world.studies[4]["order"], "--timeout", "0.1").returncode == 124


def test_a_folder_that_cannot_be_made_is_73_and_said(ranvier: Run, world: World, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    where = str(tmp_path / "file" / "below")
    order = world.studies[3]["order"]
    for words in (("orders", "qc", order, "--pictures", where), ("results", "download", identifier(6, 2), "--out", where)):
        done = ranvier(*words)
        assert (done.returncode, where in done.stderr, "Traceback" in done.stderr) == (73, True, False)


def test_a_report_is_downloaded_under_its_name_and_never_over_another(ranvier: Run, tmp_path: Path) -> None:
    report = identifier(6, 2)
    saved = ranvier("results", "download", report, "--format", "txt", "--out", str(tmp_path))
    assert saved.stdout.strip() == str(tmp_path / f"{report}_report.txt")
    assert ranvier("results", "download", report, "--format", "txt", "--out", str(tmp_path)).returncode == 73
    assert "whole brain" in ranvier("results", "show", report).stdout


def test_settings_are_read_set_and_refused_on_their_field(ranvier: Run) -> None:
    assert ranvier("settings", "get", "receive.port").stdout == "104\n"
    changed = ranvier("settings", "set", "receive.port=11112", "site.name=gw02")
    assert "restart needed: receive" in changed.stderr
    assert ranvier("settings", "get", "site.name").stdout == "gw02\n"
    refused = ranvier("settings", "set", "receive.port=99999")
    assert (refused.returncode, "receive.port: " in refused.stderr) == (65, True)


def test_status_and_doctor_say_how_the_appliance_is(ranvier: Run) -> None:
    assert "RANVIER_SCP" in ranvier("status").stdout
    assert json.loads(ranvier("doctor", "--json").stdout)["checks"][0]["result"] == "ok"
    down = ranvier("doctor", RANVIER_URL="http://127.0.0.1:9")
    assert (down.returncode, "ranvier serve" in down.stdout) == (1, True)


def test_a_reveal_is_asked_for_by_name_and_shows_the_patient(ranvier: Run, world: World) -> None:
    shown = ranvier("studies", "reveal", identifier(0))
    assert PATIENT["patient_name"] in shown.stdout
    assert world.revealed == [[identifier(0)]]


def test_processing_is_paused_shown_and_resumed_by_commands(ranvier: Run, world: World) -> None:
    """PRO-05: every action of the console is a command too."""
    assert ranvier("processing", "show").stdout.splitlines()[1].split(maxsplit=1)[1].startswith("0 waiting, 2 running")
    assert ranvier("processing", "pause").returncode == 0
    assert world.paused
    shown = ranvier("processing", "show", "--json")
    assert (shown.returncode, json.loads(shown.stdout)["paused"]) == (1, True)
    assert ranvier("processing", "resume").returncode == 0
    assert not world.paused


def test_the_log_is_searched_and_the_oldest_line_comes_first(ranvier: Run, world: World) -> None:
    """UI-03: page after page until enough; what stands in a line is shown inert."""
    lines = ranvier("logs", "qc", "--level", "info", "--since", "2036-11-22", "--limit", "3").stdout.splitlines()
    assert [one.split()[0] for one in lines] == [f"2036-11-22T12:00:0{number}.000Z" for number in range(3)]
    assert "\x1b" not in "".join(lines)
    assert lines[1].split()[1:3] == ["warning", "work"]
    assert [one["limit"] for one in world.log.asked] == ["3", "1"]
    assert (world.log.asked[0]["level"], world.log.asked[0]["since"]) == ("info", "2036-11-22")
    told = json.loads(ranvier("logs", "--json", "--since", "2h").stdout)
    assert len(told["items"]) == 3
    assert re.fullmatch(r"[0-9T:.\-]{23}Z", world.log.asked[-1]["since"])
    assert ranvier("logs", "nowhere").returncode == 1


def test_tasks_are_shown_run_and_what_would_go_is_said(ranvier: Run, world: World) -> None:
    """NOT-03, NOT-04."""
    first, second = ranvier("tasks", "show").stdout.splitlines()
    assert first.split("\t")[2:] == ["2026-11-23T03:00:00.000Z", "1 studies, 1 orders, 9 files, 0 rows, 2 log files"]
    assert second.split("\t")[1:3] == ["never", "switched off"]
    assert ranvier("tasks", "run", "maintenance").returncode == 0
    assert world.schedule.asked == ["maintenance"]
    said = ranvier("tasks", "retention").stdout
    assert [line.split(maxsplit=1)[1].removeprefix("files").strip() for line in said.splitlines()] == [
        "2 with 3 orders",
        "40, 12.3 MB",
        "7 events",
        "1",
        "1 that could not be filed",
        "1 held",
    ]
    assert ranvier("tasks", "off", "maintenance").returncode == 0 and world.schedule.tasks[0]["switched_off"]
    assert ranvier("tasks", "on", "maintenance").returncode == 0 and not world.schedule.tasks[0]["switched_off"]
    assert ranvier("tasks", "history", "maintenance").stdout.splitlines()[1].split("\t")[1:] == [
        "2x",
        "4.2 s",
        "failed: OSError",
    ]


def test_products_are_listed_with_the_reason_why_one_is_not_offered(ranvier: Run) -> None:
    """PRO-07."""
    lines = ranvier("processing", "products").stdout.splitlines()
    assert lines[0].split("\t") == ["dti", "1.0.0", "appliance", "offered"]
    assert lines[1].split("\t")[-1] == "command: a product that runs here needs one"


def test_orders_are_made_urgent_and_routine_by_commands(ranvier: Run, world: World) -> None:
    """PRO-05: priority by hand."""
    order = world.studies[4]["order"]
    assert ranvier("orders", "urgent", order).stdout == f"{order} urgent\n"
    assert world.studies[4]["priority"] == 5
    assert "urgent" in ranvier("orders", "show", order).stdout
    assert ranvier("orders", "routine", order).returncode == 0
    assert world.studies[4]["priority"] == 0
