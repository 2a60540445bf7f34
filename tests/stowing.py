"""`python -m tests.stowing STEP AFTER`: the API's own process, which kills itself the n-th time it reaches a step."""

import sys

import uvloop

from tests.receiving import STEPS, arrange_death

STOW_STEPS: dict[str, tuple[str, str, bool]] = {
    **{step: place for step, place in STEPS.items() if place[0] != "appliance.receive.association"},
    "after all is synced, before the answer is made": ("api.routes.dicomweb", "stored", True),
}
"""The steps of receiving, the answer by HTTP in place of that by DICOM."""

if __name__ == "__main__":
    from api.__main__ import main

    arrange_death(STOW_STEPS[sys.argv[1]], int(sys.argv[2]))
    sys.exit(uvloop.run(main()))
