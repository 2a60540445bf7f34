"""Every volume has all its slices, and as many images came as the series says of itself.

Slices are put together by weighting, direction and position; mosaics, grids and enhanced files count with the slices inside
them. Fails when volumes differ in their slices, when a slice is missing throughout, when fewer images, slices or volumes
came than the scanner states, or when image numbers have gaps on a scanner that leaves none. Averages over directions
(such as the last volume of Philips) are not missed and not counted.
"""

from appliance.qc.check import Judgement, counted
from appliance.qc.finding import Verdict
from appliance.qc.grouping import Volumes, volumes_of
from appliance.qc.protocol import Protocol
from appliance.qc.study import Series

NAME, TITLE = "volumes", "Volumes complete"
_ACTION = (
    "Send the series again, all of it and once. If it is the same on the scanner, the scan was stopped early or an image was "
    "deleted: repeat the scan."
)


def judge(series: Series, _protocol: Protocol) -> Judgement:
    """The volumes of one diffusion series."""
    volumes = volumes_of(series)
    problems = [*_unequal(volumes), *_fewer_than_stated(series, volumes)]
    besides = f" (and {counted(volumes.averages, 'averaged image')} not counted)" if volumes.averages else ""
    complete = f"{counted(len(volumes.volumes), 'volume')} of {counted(volumes.slices, 'slice')}{besides}"
    expected = "the same slices in every volume, and as many images as the scanner states"
    if not problems:
        return Judgement(Verdict.PASSED, complete, expected, figure=float(len(volumes.volumes)), unit="volumes")
    return Judgement(Verdict.FAILED, ", ".join(problems), expected, _ACTION, float(volumes.incomplete), "incomplete volumes")


def _unequal(volumes: Volumes) -> list[str]:
    found: list[str] = []
    if volumes.incomplete:
        smallest = min(volume.slices for volume in volumes.volumes)
        has = f"the smallest has {smallest} of {counted(volumes.slices, 'slice')}"
        found.append(f"{volumes.incomplete} of {counted(len(volumes.volumes), 'volume')} incomplete ({has})")
    if volumes.uneven:
        found.append("slices are not evenly spaced, as if one were missing in every volume")
    return found


def _fewer_than_stated(series: Series, volumes: Volumes) -> list[str]:
    stated, images = series.stated, len(series.images)
    pairs = (
        (images, stated.images, "images"),
        (volumes.slices, stated.slices, "slices in a volume"),
        (len(volumes.volumes), stated.volumes, "volumes"),
        (volumes.weighted, stated.weighted, "weighted volumes"),
    )
    found = [f"{have} of {want} {what} that the scanner states" for have, want, what in pairs if want and have < want]
    gaps = _gaps(series) if stated.numbered else 0
    if gaps and not found:
        found.append(f"{counted(gaps, 'image number')} missing between 1 and the highest")
    return found


def _gaps(series: Series) -> int:
    """Numbers missing from 1 to the highest; none where a number repeats or is missing in a header."""
    numbers = [image.number for image in series.images if image.number is not None]
    if len(numbers) != len(series.images) or len(set(numbers)) != len(numbers) or min(numbers, default=0) < 1:
        return 0
    return max(numbers) - len(numbers)
