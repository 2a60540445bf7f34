"""The rules of the house that a machine can check: sizes, names, and where an error may be swallowed."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.house.tree import ROOT, below, name_of, product_code, syntax

FILE_LINES = 400
FUNCTION_LINES = 50
NAMES_THAT_SAY_NOTHING = {"utils", "util", "common", "core", "manager", "service", "helpers", "helper", "base", "misc"}

PROCESS_EDGES = (
    "api/__main__.py",  # a database that is away must not end the front door
    "api/stream.py",  # a database that is away must not end the live stream
    "appliance/clock.py",  # one scheduled task must not end the others
    "appliance/schedule.py",  # nor those with a cadence of their own
    "appliance/deidentify/crew.py",  # a forked part of a study: its last word to the process that waits for it
    "appliance/dispatch.py",  # one order must not end the loop
    "appliance/drops.py",  # one site's folder must not end the looking after the others
    "appliance/validation.py",  # one submission must not end the looking through of the others
    "appliance/receive/association.py",  # a request that the library stumbles over must free its place
    "appliance/receive/door.py",  # one caller must not end the thread that hears all of them
    "appliance/receive/intake.py",  # one instance that nobody foresaw must not keep the others from being filed
    "appliance/receive/posted.py",  # a database that is away must not end receiving by HTTP
    "appliance/receive/process.py",  # a database that is away must not end receiving
    "appliance/receive/nodes/pull.py",  # one pull must not end the others
    "appliance/receive/scp.py",  # what a peer asks of us must not end its association
    "appliance/receive/safely.py",  # a peer is never told that an instance is safe when it is not
    "appliance/serve.py",  # the supervisor
    "appliance/stage.py",  # the child's last word to its parent
    "appliance/worker.py",  # one step must not end the worker
)
"""Where a broad `except` may stand: where a process meets something that must not end it."""


def test_files_stay_short() -> None:
    """What grows past 400 lines asks for a new name."""
    sizes = {name_of(path): len(path.read_text().splitlines()) for path in product_code()}
    assert not {name: lines for name, lines in sizes.items() if lines > FILE_LINES}


def _functions() -> Iterator[tuple[str, int]]:
    for path in product_code():
        for node in ast.walk(syntax(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{name_of(path)}:{node.lineno} {node.name}", (node.end_lineno or node.lineno) - node.lineno + 1


def test_functions_fit_on_a_screen() -> None:
    assert not {name: lines for name, lines in _functions() if lines > FUNCTION_LINES}


def test_modules_have_names_that_say_something() -> None:
    parts = {name_of(path): set(path.relative_to(ROOT).with_suffix("").parts) for path in product_code()}
    assert not {name for name, words in parts.items() if words & NAMES_THAT_SAY_NOTHING}


def _broad(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or (isinstance(kind, ast.Name) and kind.id in {"Exception", "BaseException"}) for kind in kinds)


def _goes_on(handler: ast.ExceptHandler) -> bool:
    """A handler that tidies up and raises again swallows nothing."""
    last = handler.body[-1]
    return not (isinstance(last, ast.Raise) and last.exc is None)


def _suppresses_all(call: ast.Call) -> bool:
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    kinds = {kind.id for kind in call.args if isinstance(kind, ast.Name)}
    return name == "suppress" and bool(kinds & {"Exception", "BaseException"})


def _swallowing(path: Path) -> list[str]:
    found = []
    for node in ast.walk(syntax(path)):
        if (isinstance(node, ast.ExceptHandler) and _broad(node) and _goes_on(node)) or (
            isinstance(node, ast.Call) and _suppresses_all(node)
        ):
            found.append(f"{name_of(path)}:{node.lineno}")
    return found


def test_only_the_edges_of_a_process_catch_everything() -> None:
    assert not [place for path in product_code() if name_of(path) not in PROCESS_EDGES for place in _swallowing(path)]


def test_every_listed_edge_still_is_one() -> None:
    assert [name for name in PROCESS_EDGES if _swallowing(ROOT / name)] == list(PROCESS_EDGES)


def _is_a_sleep(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="time"), attr="sleep"), args=[ast.Constant(value=0)]):
            return False
        case ast.Call(func=ast.Attribute(value=ast.Name(id="time"), attr="sleep")):
            return True
    return False


def test_no_test_waits_for_a_fixed_time() -> None:
    """A test polls with a deadline (`tests.servers.until`) or waits for an event; a fixed wait is slow or wrong."""
    assert not [
        f"{name_of(path)}:{getattr(node, 'lineno', 0)}"
        for path in below("tests")
        for node in ast.walk(syntax(path))
        if _is_a_sleep(node)
    ]


def test_nothing_is_left_for_later() -> None:
    marks = ("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")
    assert not [
        f"{name_of(path)}: {line.strip()}"
        for path in product_code()
        for line in path.read_text().splitlines()
        if any(mark in line.replace(":", " ").split() for mark in marks)
    ]
