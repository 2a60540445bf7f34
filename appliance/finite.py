"""What a number becomes that nobody can compute: JSON has no word for NaN or infinity, so it is none, from the beginning."""

import math


def finite(value: float | None) -> float | None:
    """The number as it is; None where it is NaN, infinite or none, which every format writes and reads back."""
    return value if value is not None and math.isfinite(value) else None
