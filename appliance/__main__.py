"""`ranvier WORD`: reads one word and starts one process.

The house's own words run here; `api` becomes `python -m api`, every other word becomes `python -m tui`.
"""

import asyncio
import importlib
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable

from appliance.errors import Misconfigured, RanvierError

HOUSE_WORDS: dict[str, str] = {
    "serve": "appliance.serve",
    "stop": "appliance.launch",
    "receive": "appliance.receive.process",
    "work": "appliance.work",
    "stage": "appliance.stage",
    "init": "appliance.first_boot",
    "demo": "appliance.demonstration",
    "users": "appliance.users_command",
    "audit": "appliance.audit_command",
    "passport": "appliance.deidentify.command",
    "extras": "appliance.extras",
}
"""Word -> the module that serves it."""


def main() -> None:
    """The entry of the `ranvier` program."""
    arguments = sys.argv[1:]
    word = arguments[0] if arguments else "console"
    if word == "api":
        os.execv(sys.executable, [sys.executable, "-m", "api", *arguments[1:]])
    if word not in HOUSE_WORDS:
        os.execv(sys.executable, [sys.executable, "-m", "tui", *arguments])
    try:
        sys.exit(_run(word, arguments[1:]))
    except RanvierError as error:
        print(f"ranvier {word}: {error.what}\n  {error.advice}", file=sys.stderr)
        sys.exit(78 if isinstance(error, Misconfigured) else 1)


def _run(word: str, arguments: list[str]) -> int:
    if word == "stage":
        return int(importlib.import_module(HOUSE_WORDS[word]).main(arguments))
    if word in ("init", "demo"):
        return int(importlib.import_module(HOUSE_WORDS[word]).main(arguments))
    if word == "users":
        return asyncio.run(_users(arguments))
    if word == "audit":
        return asyncio.run(_audit(arguments))
    if word == "passport":
        return _passport(arguments)
    if word == "extras":
        return _extras()
    return asyncio.run(_until_asked({"serve": _serve, "receive": _receive, "work": _work, "stop": _stop}[word], word))


async def _until_asked(process: Callable[[asyncio.Event], Awaitable[None]], word: str) -> int:
    """Runs a process until SIGTERM or SIGINT asks it to end."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await process(stop)
    logging.getLogger("appliance").info("%s ended", word)
    return 0


async def _serve(stop: asyncio.Event) -> None:
    from appliance import logs, serve
    from appliance.house import default_home

    home = default_home()
    logs.start(home, "serve")
    await serve.run(home, stop)


async def _users(arguments: list[str]) -> int:
    from appliance import users_command
    from appliance.house import default_home, open_house
    from appliance.moments import now_ms

    async with open_house(default_home()):
        return await users_command.run(arguments, now=now_ms())


def _passport(arguments: list[str]) -> int:
    from appliance.deidentify import command
    from appliance.house import default_home

    return command.main(arguments, home=default_home())


def _extras() -> int:
    from appliance import extras
    from appliance.house import default_home

    return extras.main(default_home())


async def _audit(arguments: list[str]) -> int:
    from appliance import audit_command
    from appliance.house import default_home, open_house
    from appliance.moments import now_ms

    async with open_house(default_home()) as house:
        return await audit_command.run(arguments, house.keys, now=now_ms())


async def _stop(_stop: asyncio.Event) -> None:
    from appliance import launch
    from appliance.house import default_home

    print("stopped" if await launch.stop(default_home()) else "was not running")


async def _receive(stop: asyncio.Event) -> None:
    from appliance import audit, logs
    from appliance.house import default_home, open_house
    from appliance.moments import now_ms
    from appliance.receive import process
    from appliance.receive.section import NodesSection, ReceiveSection

    logs.start(default_home(), "receive")
    async with open_house(default_home()) as house:

        async def reload() -> ReceiveSection:
            settings = (await house.settings()).settings
            logs.set_level(settings.logs.level)
            return settings.receive

        async def audited(caller: str, address: str, reason: str) -> None:
            await audit.append(caller or "unknown", "association", "receive", "refused", address, now_ms(), reason)

        async def nodes() -> NodesSection:
            return (await house.settings()).settings.nodes

        async with audit.process("receive"):
            await process.run(
                house.storage,
                house.keys,
                house.records,
                await reload(),
                reload=reload,
                stop=stop,
                audited=audited,
                nodes=nodes,
            )


async def _work(stop: asyncio.Event) -> None:
    from appliance import audit, logs, work
    from appliance.house import default_home, open_house

    logs.start(default_home(), "work")
    async with open_house(default_home()) as house, audit.process("work"):
        await work.run(house, stop)


if __name__ == "__main__":
    main()
