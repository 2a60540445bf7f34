"""The images can be converted, and the result has the volumes that the headers describe.

Converts each input series as every product does. Fails when that gives no diffusion image, or an image whose number of volumes
is not that of its b-values; warns when the header describes another number of volumes.
"""

from appliance.qc.check import counted
from appliance.qc.finding import Verdict
from appliance.qc.grouping import volumes_of
from appliance.qc.images.check import Seen
from appliance.qc.study import Series

NAME, TITLE = "image-conversion", "Images convert to whole volumes"
EXPECTED = "one image with a b-value and a direction for each volume, as many as the header describes"
_ACTION = "Send the series again, all of it and once; the findings on volumes and on gradients say what is missing."


def nothing() -> Seen:
    """The converter gave no diffusion image."""
    return Seen(Verdict.FAILED, "the converter made no diffusion image of it", EXPECTED, _ACTION)


def uneven(volumes: int, weights: int) -> Seen:
    """The image and its table do not belong together."""
    found = f"{counted(volumes, 'volume')}, but {counted(weights, 'b-value')}: slices are missing or too many"
    return Seen(Verdict.FAILED, found, EXPECTED, _ACTION, float(volumes), "volumes")


def judge(series: Series, volumes: int) -> Seen:
    """A converted image beside the header of its series."""
    described = len(volumes_of(series).volumes)
    if described in (0, volumes):
        return Seen(Verdict.PASSED, counted(volumes, "volume"), EXPECTED, figure=float(volumes), unit="volumes")
    found = f"{counted(volumes, 'volume')}; the header describes {described}"
    return Seen(Verdict.WARNING, found, EXPECTED, _ACTION, float(volumes), "volumes")
