"""No slice and no volume is there twice or empty.

Every slice of every volume is compared pixel by pixel with every other one: two slices of a real scan never have the same
noise, so a repeated one is a fault of the reconstruction, the archive or the transfer. A slice inside the head that holds one
value only is missing. Fails at the first one.
"""

from collections import defaultdict
from typing import TYPE_CHECKING

from appliance.qc.check import counted
from appliance.qc.finding import Verdict
from appliance.qc.images.check import Look, Seen, gravest, numbered
from appliance.qc.images.picture import slices_beside
from appliance.qc.images.scan import Scan
from appliance.qc.images.thresholds import Thresholds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NAME, TITLE = "image-slices", "Slices and volumes, none missing or twice"
PICTURE = "The slice beside the one that it repeats, or beside the same slice of another volume."
EXPECTED = "no slice twice, none empty"

Place = tuple[int, int]
"""Volume and slice, from 0."""


def judge(look: Look, limits: Thresholds) -> Seen:
    """Repeated and empty slices of one series."""
    scan = look.scan
    repeated, empty = _repeated(scan), _empty(scan)
    whole = sorted({volume for volume, _ in repeated if all((volume, place) in repeated for place in _told(scan, volume))})
    verdict = gravest(limits.slices.repeated.above(len(repeated)), limits.slices.empty.above(len(empty)))
    if verdict is Verdict.PASSED:
        found = f"{counted(scan.count, 'volume')} of {counted(scan.grid[2], 'slice')}, all different"
        return Seen(verdict, found, EXPECTED, figure=0.0, unit="slices")
    parts = []
    if whole:
        parts.append(f"{'volume' if len(whole) == 1 else 'volumes'} {numbered(whole)} the same as an earlier one")
    single = sorted(place for place in repeated if place[0] not in whole)
    parts += [f"{counted(len(single), 'slice')} the same as another one ({_places(single)})"] if single else []
    parts += [f"{counted(len(empty), 'empty slice')} inside the head ({_places(empty)})"] if empty else []
    action = "Send the series again from the scanner. If it is the same there, the reconstruction failed: repeat the scan."
    return Seen(
        verdict, ", ".join(parts), EXPECTED, action, float(len(repeated) + len(empty)), "slices", _shown(scan, repeated, empty)
    )


def _told(scan: Scan, volume: int) -> list[int]:
    return [place for place, digest in enumerate(scan.digests[volume]) if digest]


def _repeated(scan: Scan) -> dict[Place, Place]:
    """Each repeated slice with the first one like it."""
    first: dict[bytes, Place] = {}
    found: dict[Place, Place] = {}
    for volume, digests in enumerate(scan.digests):
        for place, digest in enumerate(digests):
            if digest:
                earlier = first.setdefault(digest, (volume, place))
                if earlier != (volume, place):
                    found[volume, place] = earlier
    return found


def _empty(scan: Scan) -> list[Place]:
    """Slices of one value where the other volumes show something."""
    filled: defaultdict[int, int] = defaultdict(int)
    for digests in scan.digests:
        for place, digest in enumerate(digests):
            filled[place] += bool(digest)
    inner = [place for place in range(scan.grid[2]) if 2 * filled[place] > scan.count or _within(filled, place)]
    return [(volume, place) for volume in range(scan.count) for place in inner if not scan.digests[volume][place]]


def _within(filled: dict[int, int], place: int) -> bool:
    """Between slices that show something: an empty slice in every volume is missing, empty ones at the ends are air."""
    return any(filled[one] for one in range(place)) and any(count for one, count in filled.items() if one > place)


def _places(places: list[Place]) -> str:
    shown = "; ".join(f"slice {place + 1} of volume {volume + 1}" for volume, place in places[:3])
    return f"{shown} and {len(places) - 3} more" if len(places) > 3 else shown


def _shown(scan: Scan, repeated: dict[Place, Place], empty: list[Place]) -> "NDArray[np.uint8]":
    if repeated:
        volume, place = min(repeated)
        pairs = [repeated[volume, place], (volume, place)]
    else:
        volume, place = empty[0]
        other = next((one for one in range(scan.count) if scan.digests[one][place]), volume)
        pairs = [(other, place), (volume, place)]
    return slices_beside([scan.volume(one)[:, :, at] for one, at in pairs])
