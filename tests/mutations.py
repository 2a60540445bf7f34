"""Inputs that are nearly right: what fuzzing changes in messages and data sets, by a seed."""

import random
import struct

_SPECIAL = (0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF)
_LENGTHS = (0, 1, 2, 3, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFF)


def mutated(chance: random.Random, data: bytes) -> bytes:
    """A copy with one to four changes: bytes, lengths, parts left out, doubled, put in, cut off."""
    found = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        if not found:
            found += chance.randbytes(8)
        at = chance.randrange(len(found))
        # Headers stand in front: half of the changes are made there.
        at = chance.randrange(min(len(found), 256)) if chance.random() < 0.5 else at
        _change(chance, found, at)
    return bytes(found)


def _change(chance: random.Random, found: bytearray, at: int) -> None:
    some = chance.randrange(1, 64)
    match chance.randrange(7):
        case 0:
            found[at] ^= 1 << chance.randrange(8)
        case 1:
            found[at] = chance.choice(_SPECIAL)
        case 2:
            order = chance.choice((">", "<"))
            found[at : at + 4] = struct.pack(order + "I", chance.choice(_LENGTHS))
        case 3:
            del found[at : at + some]
        case 4:
            found[at:at] = found[at : at + some]
        case 5:
            found[at:at] = chance.randbytes(some)
        case _:
            del found[at + 1 :]
