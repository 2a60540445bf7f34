"""`ranvier extras`: which optional parts of the installation the settings need; `init.sh` asks, so that it never drops one."""

import asyncio
from pathlib import Path

from appliance.keys import load_keys
from appliance.records.engine import Records
from appliance.settings import load, load_bootstrap


def main(home: Path) -> int:
    """Prints one name a line; nothing where there is no appliance yet."""
    for name in asyncio.run(needed(home)):
        print(name)
    return 0


async def needed(home: Path) -> list[str]:
    """The extras of pyproject.toml that the settings in force need. The records are read as they are, never migrated."""
    root = home / "keys" / "root.key"
    if not root.exists():
        return []
    async with Records(load_bootstrap(home).url(home)):
        compute = (await load(load_keys(root))).settings.compute
    return ["cluster"] if compute.scheduler else []
