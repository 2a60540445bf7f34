"""Relocks the dependencies, and keeps the lock free of hosts: `python tests/house/lock.py [--upgrade]`.

`uv.lock` says which files with which hashes, never where to get them: each site's own package index serves them, and a
file with another hash is refused wherever it came from.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "uv.lock"
_FILE_URL = re.compile(r'url = "https?://[^"]*/([^"/]+)"')
_REGISTRY = re.compile(r'registry = "https?://[^"]*"')


def without_hosts(text: str) -> str:
    """The text of a lock with file names in place of addresses, and a registry without a name."""
    return _REGISTRY.sub('registry = ""', _FILE_URL.sub(r'filename = "\1"', text))


def uv() -> str:
    """The installer that init.sh put into the environment, else the one on the PATH."""
    ours = Path(sys.prefix) / "installer" / "bin" / "uv"
    found = str(ours) if ours.exists() else shutil.which("uv")
    if not found:
        raise FileNotFoundError("uv is missing: ./init.sh --environment-only --dev")
    return found


def main(arguments: list[str]) -> int:
    """Runs `uv lock` with the given arguments, then takes the hosts out; gives uv's exit code."""
    answer = subprocess.run([uv(), "lock", *arguments], cwd=ROOT).returncode
    if answer == 0:
        LOCK.write_text(without_hosts(LOCK.read_text()))
    return answer


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
