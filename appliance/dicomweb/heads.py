"""What stands before the pixels of a file, read so that no file can make it dear.

Long values stay on disk, and what is deflated is inflated only so far.
"""

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydicom import Dataset

DEFLATED = "1.2.840.10008.1.2.1.99"
MOST_INFLATED = 8 << 20
LONG_BYTES = 64 << 10
"""Values longer than this are not read with the rest."""
_META_FROM = 132


def head_of(path: Path, transfer_syntax: str, *names: str) -> "Dataset":
    """The attributes before the pixels, or those named of them; raises one of `foreign.FAULTS`."""
    from pydicom import dcmread

    wanted: Any = list(names) or None
    if transfer_syntax == DEFLATED:
        return dcmread(_inflated(path), stop_before_pixels=True, specific_tags=wanted, force=True)
    return dcmread(path, stop_before_pixels=True, specific_tags=wanted, defer_size=LONG_BYTES)


def _inflated(path: Path) -> BytesIO:
    """The beginning of a deflated data set (PS3.5 section A.5) without its file meta information (PS3.10 section 7.1)."""
    with path.open("rb") as file:
        start = file.read(_META_FROM + 12)
        (length,) = struct.unpack_from("<I", start, _META_FROM + 8)
        file.seek(len(start) + length)
        return BytesIO(zlib.decompressobj(-zlib.MAX_WBITS).decompress(file.read(MOST_INFLATED), MOST_INFLATED))
