"""Canon (formerly Toshiba): b-value in the standard's element, direction only as text in the image comments.

(0020,4000) reads `b=1500(0.895,0.000,0.445)`.
"""

import re

from appliance.qc.elements import Elements
from appliance.qc.study import Gradient, Stated
from appliance.qc.vendors import standard
from appliance.qc.vendors.vendor import Vendor, unit

_COMMENTS = 0x00204000
_NUMBER = r"\s*([-+]?[0-9]{1,3}(?:\.[0-9]{1,9})?)\s*"
_DIRECTION = re.compile(rf"b\s*=\s*([0-9]{{1,6}}(?:\.[0-9]{{1,6}})?)\s*\({_NUMBER},{_NUMBER},{_NUMBER}\)", re.IGNORECASE)


def gradient(header: Elements) -> Gradient:
    """b-value and direction; a comment of any other form says nothing."""
    public = standard.gradient(header)
    found = _DIRECTION.search(header.text(_COMMENTS)[:256])
    if found is None:
        return public
    b_value = public.b_value if public.b_value is not None else float(found[1])
    return Gradient(b_value, public.direction or unit((float(found[2]), float(found[3]), float(found[4]))), public.trace)


def stated(_header: Elements) -> Stated:
    """Canon states no counts; its image numbers run without gaps."""
    return Stated(numbered=True)


VENDOR = Vendor(name="Canon", manufacturers=("CANON", "TOSHIBA"), gradient=gradient, stated=stated)
