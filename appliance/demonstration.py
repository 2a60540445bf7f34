"""`ranvier demo`: a made-up study goes all the way from a DICOM sender to a report, in front of the user's eyes.

No root, loopback only, no port under 1024. On a terminal the appliance stays up afterwards; without one, or with `--once`, it
is stopped again. Run again: the same appliance gets one more study.
"""

import argparse
import asyncio
import contextlib
import os
import secrets
import shutil
import socket
import string
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from appliance import launch, settings
from appliance.access.accounts import create_user
from appliance.demo.scanner import send
from appliance.errors import Failed
from appliance.house import House, open_house
from appliance.moments import now_ms
from appliance.records import events, orders, reports, studies, users
from appliance.reports.content import ReportContent, file_name
from appliance.states import ORDER_FACTS, OrderState

DIRECTIONS = 32
BAR = 28
PATIENCE_S = 600
_STAGES = {
    "qc": "Quality control",
    "deidentify": "De-identification",
    "product": "Tensor (dti)",
    "report": "Report",
    "copies": "Delivery",
}


class DemoFailed(Failed):
    """The demonstration's order ended as {state} ({code}): {what}"""

    code = "demo-failed"
    next_step = "Read the logs in the data folder; each line names the order."


def main(arguments: list[str]) -> int:
    """Runs the demonstration; 0 when the report is there, 130 when somebody did not want to wait for it (Ctrl-C)."""
    parser = argparse.ArgumentParser(prog="ranvier demo", description="A made-up study from the scanner to the report.")
    parser.add_argument("--home", type=Path, default=Path.home() / "ranvier-demo", help="data folder (default: %(default)s)")
    parser.add_argument("--once", action="store_true", help="stop the appliance after the report")
    options = parser.parse_args(arguments)
    home = options.home.expanduser().absolute()
    once = options.once or not sys.stdout.isatty()
    try:
        return asyncio.run(_demonstrate(home, once))
    except KeyboardInterrupt:
        _say("\nYou ended the demonstration; run it again for one more study.")
        return 130


async def _demonstrate(home: Path, once: bool) -> int:
    was_up = launch.running(home) is not None
    try:
        async with open_house(home, create=True) as house:
            wanted = await _prepared(house)
            access, receive = wanted.access, wanted.receive
            url = f"http://127.0.0.1:{access.port}"
            if was_up:
                _say(f"The appliance in {home} is up already: {url}, DICOM port {receive.port}.")
            else:
                _say(f"Starting receiver, worker and API (data in {home}) ...")
                launch.start(home)
            await launch.wait_healthy(url)
            _say(f"  up: {url}   DICOM {receive.ae_title} at 127.0.0.1:{receive.port}\n")
            study = await _sent(house, wanted)
            order = await _watched(house, study)
            await _shown(house, order)
            _closing(home, url, once)
    finally:
        if once and not was_up:
            await launch.stop(home)
    return 0


async def _prepared(house: House) -> settings.Settings:
    """Settings and an administrator for the demonstration, made once."""
    loaded = await house.settings()
    if loaded.version == 0:
        change = {
            "site": {"name": "ranvier-demo"},
            "receive": {"host": "127.0.0.1", "port": _free_port(11112), "quiet_seconds": 2},
            "access": {"host": "127.0.0.1", "port": _free_port(3001)},
        }
        wanted, changed = settings.patched(loaded.settings, change)
        loaded = await settings.save(house.keys, wanted, based_on=0, actor="demo", now=now_ms(), changed=changed)
    if await users.by_name("admin") is None:
        password = _password()
        note = house.home / "demo-password"
        note.touch(mode=0o600)
        note.write_text(password + "\n")
        await create_user("admin", "admin", password, now_ms())
    return loaded.settings


def _free_port(wanted: int) -> int:
    """The wanted port, or any free one where another program has it."""
    for port in (wanted, 0):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    return wanted


def _password() -> str:
    letters = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(16))
    return f"Demo-{letters}-7x"


async def _sent(house: House, wanted: settings.Settings) -> str:
    """Makes a phantom study, sends it, and gives the study that the receiver made of it."""
    from appliance.demo.phantom import write_diffusion_study

    before = await events.newest_seq()
    counts = await studies.counts(house.records)
    number = 1 + counts.receiving + counts.stable + counts.quarantined
    folder = house.home / "demo-study"
    shutil.rmtree(folder, ignore_errors=True)
    _say(f"Making phantom study {number}: {DIRECTIONS} directions, one b=0, known FA and MD ...")
    phantom = await asyncio.to_thread(write_diffusion_study, folder, directions=DIRECTIONS, seed=number)
    count = len(phantom.files)

    def sending() -> None:
        for done in send(phantom.files, "127.0.0.1", wanted.receive.port, called=wanted.receive.ae_title):
            _bar("Sending (C-STORE)", done / count, f"{done} of {count}")

    await asyncio.to_thread(sending)
    shutil.rmtree(folder, ignore_errors=True)
    async for event in _after(before, limit_s=60):
        if event.name == "instances-arrived":
            return event.study
    raise DemoFailed(state="not filed", code="not-filed", what="the receiver did not file the study")


async def _watched(house: House, study: str) -> str:
    """Shows each stage until the order has ended; gives the order."""
    _bar("Waiting for quiet", 0.0, "a study is complete when nothing more comes")
    seen = await events.newest_seq()
    found = await orders.of_study(study)
    while not found:
        await asyncio.sleep(0.2)
        found = await orders.of_study(study)
    _bar("Waiting for quiet", 1.0, "stable")
    order = found[0].id
    async with asyncio.timeout(PATIENCE_S):
        while True:
            # First the state, then what led to it: the last move is shown as well.
            row = await orders.get(order)
            for event in await events.after(seen, order=order):
                seen = event.seq
                _show_event(event)
            if ORDER_FACTS[row.state].terminal or row.state in (OrderState.QC_FAILED, OrderState.HELD):
                break
            await asyncio.sleep(0.1)
    if row.state is not OrderState.DELIVERED:
        raise DemoFailed(state=row.state, code=row.code, what=row.detail)
    return order


def _show_event(stored: events.Stored) -> None:
    body = msgspec.json.decode(stored.body, type=dict[str, str | int])
    if stored.name == "progress":
        _bar(_STAGES.get(str(body["stage"]), str(body["stage"])), int(body["percent"]) / 100, str(body["step"]))
    elif stored.name == "order-moved":
        _finish_bar()
        _say(f"  {ORDER_FACTS[OrderState(str(body['new']))].word}")


async def _shown(house: House, order: str) -> None:
    """The numbers, and where the report lies."""
    report = await reports.newest(order, "report")
    assert report is not None
    content = msgspec.json.decode(report.content, type=ReportContent)
    _say(f"\nReport of order {order}")
    for section in content.sections:
        _say(f"  {section.title} {section.version}")
        for row in section.rows:
            value = "none" if row.value is None else f"{row.value:.4g}"
            _say(f"    {row.label:<44} {value:>10} {row.unit}")
    folder = house.storage.absolute(report.folder)
    _say(f"\n  PDF      {folder / file_name(order, 'report', report.version, 'pdf')}")
    _say(f"  others   {', '.join(report.format_list)} in the same folder")


def _closing(home: Path, url: str, once: bool) -> None:
    if once:
        _say("\nDone; the appliance is stopped.")
        return
    program = Path(sys.argv[0]).absolute()
    _say(f"\n  console  RANVIER_URL={url} {program} console     (user admin, password in {home / 'demo-password'})")
    _say(f"  stop     RANVIER_HOME={home} {program} stop")


async def _after(seq: int, limit_s: float) -> AsyncIterator[events.Stored]:
    async with asyncio.timeout(limit_s):
        while True:
            for event in await events.after(seq):
                seq = event.seq
                yield event
            await asyncio.sleep(0.1)


_drawn: list[str] = []


def _bar(title: str, fraction: float, note: str) -> None:
    """One line that fills on a terminal, and one line for each stage elsewhere."""
    full = int(BAR * fraction)
    line = f"  {title:<20} [{'#' * full}{'.' * (BAR - full)}] {note}"
    if sys.stdout.isatty():
        if _drawn and _drawn[-1] != title:
            _finish_bar()
        width = os.get_terminal_size().columns - 1
        print("\r" + line[:width].ljust(width), end="", flush=True)
        _drawn.append(title)
    elif (title, fraction >= 1) not in _told:
        _told.add((title, fraction >= 1))
        _say(line)


_told: set[tuple[str, bool]] = set()


def _finish_bar() -> None:
    if _drawn:
        _drawn.clear()
        print(flush=True)


def _say(text: str) -> None:
    _finish_bar()
    print(text, flush=True)
