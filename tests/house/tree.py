"""What belongs to the project: the files that git has or would take, and their syntax trees."""

import ast
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILDINGS = ("appliance", "api", "tui")


@cache
def files_of_the_project() -> tuple[Path, ...]:
    """Every file of the work tree that is not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
    ).stdout
    paths = sorted(ROOT / name for name in listed.decode().split("\0") if name)
    return tuple(path for path in paths if path.is_file())


def below(*folders: str, suffix: str = ".py") -> list[Path]:
    """The project's files of one suffix below some of its top folders."""
    return [path for path in files_of_the_project() if path.suffix == suffix and path.relative_to(ROOT).parts[0] in folders]


def product_code() -> list[Path]:
    """The Python files of the three buildings, without the migrations, which are frozen as they were made."""
    return [path for path in below(*BUILDINGS) if "migrations" not in path.parts]


@cache
def syntax(path: Path) -> ast.Module:
    """A file's syntax tree."""
    return ast.parse(path.read_text(), str(path))


def name_of(path: Path) -> str:
    """A path as the project calls it."""
    return str(path.relative_to(ROOT))
