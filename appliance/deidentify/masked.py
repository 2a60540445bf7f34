"""What a masked file's pixels have to be, by the verifier's own arithmetic: the source's, with zeros in the named regions."""

from collections.abc import Sequence

from appliance.deidentify.outline import Outline
from appliance.deidentify.passport import MaskedRegion

_ROWS, _COLUMNS, _SAMPLES, _FRAMES, _BITS, _PLANAR = 0x00280010, 0x00280011, 0x00280002, 0x00280008, 0x00280100, 0x00280006
_BIG = "1.2.840.10008.1.2.2"


def expected(source: Outline, pixels: bytes, regions: Sequence[MaskedRegion]) -> bytes:
    """The pixel data that the output must have; of another length when the regions do not fit the image."""

    def number(tag: int, missing: int) -> int:
        value = source.value(tag)
        return int.from_bytes(value, "big" if source.syntax == _BIG else "little") if value else missing

    rows, columns = number(_ROWS, 0), number(_COLUMNS, 0)
    samples, cell = number(_SAMPLES, 1), number(_BITS, 0) // 8
    frames = int(source.value(_FRAMES).strip(b" \0") or b"1")
    planes, across = (samples, cell) if samples > 1 and number(_PLANAR, 0) == 1 else (1, cell * samples)
    plane = rows * columns * across
    if not plane or frames * planes * plane > len(pixels):
        return b""
    result = bytearray(pixels)
    for one in regions:
        left, right = min(one.left, columns), min(one.right, columns)
        if not (0 <= one.frame < frames and 0 <= left <= right and one.top >= 0):
            return b""
        for number_of_plane in range(planes):
            base = (one.frame * planes + number_of_plane) * plane
            for row in range(one.top, min(one.bottom, rows)):
                start = base + (row * columns + left) * across
                result[start : start + (right - left) * across] = bytes((right - left) * across)
    return bytes(result)
