"""What comes from elsewhere may be anything, and the libraries that read it raise accordingly."""

import struct
import zlib
from typing import Final

FAULTS: Final = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What readers and decoders are known to raise on what is no good file or image."""
