"""Runs a site's own product: prepares its folders, runs its command, reads its `result.json`.

Runs inside the stage's child process, whose limits the command inherits.
"""

import os
import re
import selectors
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from appliance.errors import Failed
from appliance.products import site
from appliance.products.manifest import Manifest, Picture, ProductRequest, ProductResult, Value

Progress = Callable[[float, str], None]

MOST_VALUES = 2000
LAST_LINES = 20
"""Of what a command printed, when it failed."""
RESULT_BYTES = 16 * 1024 * 1024
_MOST = 1e300
_NAME = re.compile(r"^[A-Za-z][A-Za-z0-9_]{0,63}$")
_WANT_OF_MEMORY = re.compile(rb"MemoryError|bad_alloc|annot allocate|ut of memory")
"""What programs print when the kernel refuses them memory: Python, C++, C, MATLAB and Java."""
_PICTURES = (".png", ".jpg", ".jpeg")


class CommandFailed(Failed):
    """The command of product {product} ended with {status}."""

    code = "product-command-failed"
    next_step = "Look at the last lines that it printed, in the log of the worker (`logs/serve.log`, or the system's journal)."


class CommandNotStarted(Failed):
    """The command of product {product} could not be started ({reason})."""

    code = "product-command-not-started"
    next_step = "Check that the program is there and may be executed by the appliance's user."


class ResultUnreadable(Failed):
    """The result of product {product} cannot be used: {reason}."""

    code = "product-result-unreadable"
    next_step = "Tell whoever made the product; the page on a site's own products says what result.json holds."


class SiteResult(msgspec.Struct, kw_only=True, frozen=True):
    """`result.json` of a site's product; numbers beside `values` are taken as values as well."""

    values: list[Value] = []
    pictures: list[Picture] = []
    maps: list[str] = []
    notes: list[str] = []


class _Line(msgspec.Struct):
    progress: float
    step: str = ""


def run(request: ProductRequest, progress: Progress) -> ProductResult:
    """Runs the command; raises `CommandNotStarted`, `CommandFailed` or `ResultUnreadable`.

    A command that failed for want of memory raises `MemoryError` with the limit in MB, at which it was.
    """
    manifest = site.read(Path(request.folder))
    out_folder = Path(request.out_folder)
    in_folder = out_folder.with_name("in")
    out_folder.mkdir(parents=True, exist_ok=True)
    count = _give(Path(request.in_folder), in_folder, manifest)
    began = time.monotonic()
    try:
        status, wanted_memory = _execute(manifest, request, in_folder, out_folder, progress)
    except OSError as fault:
        raise CommandNotStarted(product=manifest.id, reason=os.strerror(fault.errno or 0)) from fault
    finally:
        shutil.rmtree(in_folder, ignore_errors=True)
    if status != 0 and wanted_memory and request.memory_mb:
        raise MemoryError(request.memory_mb)
    if status != 0:
        raise CommandFailed(product=manifest.id, status=f"exit {status}" if status > 0 else f"signal {-status}")
    result = _result(manifest, out_folder)
    return ProductResult(
        product=manifest.id,
        version=manifest.version,
        title=manifest.title,
        intended_use=manifest.intended_use,
        values=result.values,
        pictures=result.pictures,
        maps=result.maps,
        notes=result.notes,
        provenance={"product of the site": f"{manifest.id} {manifest.version}", "input_files": str(count)},
        seconds={"run": round(time.monotonic() - began, 3)},
    )


def _give(source: Path, in_folder: Path, manifest: Manifest) -> int:
    """A flat copy of the de-identified files, `<series>#<instance>.dcm`, and `task.json`; gives the number of files.

    A copy, because the command may write in its in-folder and other products read the same files.
    """
    shutil.rmtree(in_folder, ignore_errors=True)
    in_folder.mkdir(mode=0o700, parents=True)
    count = 0
    for file in sorted(path for path in source.rglob("*.dcm") if path.is_file() and not path.is_symlink()):
        shutil.copyfile(file, in_folder / "#".join(file.relative_to(source).parts))
        count += 1
    # The names of mercure's task file as far as they mean the same; there is no patient in it, and none of its rules.
    task = {
        "id": "",
        "info": {"action": "process", "uid_type": "study", "uid": "", "applied_rule": "", "mrn": "", "acc": ""},
        "process": {"module_name": manifest.id, "module_config": {}, "settings": manifest.settings},
    }
    (in_folder / "task.json").write_bytes(msgspec.json.encode(task))
    return count


def _execute(
    manifest: Manifest, request: ProductRequest, in_folder: Path, out_folder: Path, progress: Progress
) -> tuple[int, bool]:
    """Runs the command to its end; gives its status, and whether it said that it got no memory.

    Its lines of JSON are progress; of the rest the last lines are repeated when it fails.
    """
    places = {"$MERCURE_IN_DIR": str(in_folder), "$MERCURE_OUT_DIR": str(out_folder), "$RANVIER_PYTHON": sys.executable}
    program, *words = [places.get(word, word) for word in manifest.command]
    own = Path(manifest.folder) / program
    argv = [str(own) if "/" in program and not program.startswith("/") else program, *words]
    child = subprocess.Popen(
        argv,
        cwd=manifest.folder,
        env=_environment(request, in_folder, out_folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert child.stdout is not None
    rest, wanted_memory = b"", False
    last: deque[bytes] = deque(maxlen=LAST_LINES)
    with child, selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while selector.select():
            chunk = os.read(child.stdout.fileno(), 65536)
            if not chunk:
                break
            *lines, rest = (rest[-65536:] + chunk).split(b"\n")
            for line in lines:
                wanted_memory = wanted_memory or _WANT_OF_MEMORY.search(line) is not None
                last.append(line)
                _tell(line, progress)
        status = child.wait()
        if status != 0:
            _repeat(manifest, [*last, rest])
        return status, wanted_memory or _WANT_OF_MEMORY.search(rest) is not None


def _repeat(manifest: Manifest, lines: list[bytes]) -> None:
    """Its last lines go to the log of the worker; it has seen nothing but de-identified images."""
    for line in lines:
        text = "".join(letter for letter in line.decode("utf-8", "replace") if letter.isprintable())
        if text:
            print(f"{manifest.id}: {text[:500]}", file=sys.stderr)


def _tell(line: bytes, progress: Progress) -> None:
    try:
        said = msgspec.json.decode(line, type=_Line)
    except msgspec.DecodeError:
        return
    progress(said.progress, said.step[:64] or "Running")


def _environment(request: ProductRequest, in_folder: Path, out_folder: Path) -> dict[str, str]:
    """What the command sees: nothing of the appliance's own environment but where programs and its temporary files are."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR", "LANG", "LC_ALL", "TZ") if name in os.environ}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(request.cores))
    return {
        **kept,
        **threads,
        "HOME": os.environ.get("TMPDIR", str(out_folder)),
        "MERCURE_IN_DIR": str(in_folder),
        "MERCURE_OUT_DIR": str(out_folder),
        "RANVIER_CORES": str(request.cores),
        "RANVIER_MEMORY_MB": str(request.memory_mb),
    }


def _result(manifest: Manifest, out_folder: Path) -> SiteResult:
    file = out_folder / "result.json"

    def refuse(reason: str) -> ResultUnreadable:
        return ResultUnreadable(product=manifest.id, reason=reason)

    if file.is_symlink() or not file.is_file():
        raise refuse("there is no result.json")
    if file.stat().st_size > RESULT_BYTES:
        raise refuse(f"result.json has more than {RESULT_BYTES // 1024 // 1024} MB")
    try:
        plain = msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
        result = msgspec.convert(plain, SiteResult)
    except msgspec.ValidationError as fault:
        raise refuse("result.json: " + str(fault)) from fault
    except msgspec.DecodeError as fault:
        raise refuse("result.json is no JSON; a number that cannot be computed is null there") from fault
    named = {one.name for one in result.values}
    more = [
        Value(name=name, label=name, value=float(value) if abs(value) < _MOST else None)
        for name, value in plain.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and _NAME.match(name) and name not in named
    ]
    result = msgspec.structs.replace(result, values=[*result.values, *more])
    if len(result.values) > MOST_VALUES:
        raise refuse(f"more than {MOST_VALUES} values")
    for name in (*(one.file for one in result.pictures), *result.maps):
        _check_file(out_folder, name, refuse)
    if any(not one.file.lower().endswith(_PICTURES) for one in result.pictures):
        raise refuse("a picture is neither PNG nor JPEG")
    return result


def _check_file(out_folder: Path, name: str, refuse: Callable[[str], ResultUnreadable]) -> None:
    path = out_folder / name
    if not path.resolve().is_relative_to(out_folder.resolve()):
        raise refuse("result.json names a file outside the out-folder")
    if path.is_symlink() or not path.is_file():
        raise refuse("result.json names a file that is not there")
