"""Runs the named benches; without a name lists them."""

import importlib
import os
import sys
from pathlib import Path

from tests.bench import figures

APART = {"__init__", "__main__", "anonymisers", "figures", "loads", "peers", "receivers"}

ONE_THREAD = {"denoise", "dti-fw-pipeline", "free-water", "tensor"}
"""CPU seconds are compared with peers on one thread; a BLAS that has several burns time in waiting."""


def main(names: list[str]) -> int:
    """Runs each named bench."""
    known = sorted(file.stem.replace("_", "-") for file in Path(__file__).parent.glob("*.py") if file.stem not in APART)
    if not names:
        print(" ".join(known))
        return 0
    for name in names:
        if name not in known:
            print(f"There is no bench {name}; there are: {' '.join(known)}", file=sys.stderr)
            return 64
        if name in ONE_THREAD:
            os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})  # read when numpy is loaded
        module = importlib.import_module(f"tests.bench.{name.replace('-', '_')}")
        found = module.measure()
        figures.write(name, found)
        for one in found:
            print(f"{one.figure}: {one.ours:g} {one.unit}, {one.peer} {one.peer_value:g}, ratio {one.ratio:g}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
