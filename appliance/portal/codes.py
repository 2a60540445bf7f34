"""Upload codes and reference numbers: letters that people can read aloud and type, without those that look alike."""

import secrets
from typing import Final

ALPHABET: Final = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
CODE_LETTERS = 20
"""31 letters to choose from: 99 random bits."""
REFERENCE_LETTERS = 8
PURPOSE = "upload-code"


def new_code() -> str:
    """A new code, in groups of five."""
    letters = _letters(CODE_LETTERS)
    return "-".join(letters[at : at + 5] for at in range(0, CODE_LETTERS, 5))


def new_reference() -> str:
    """A new reference number of a submission; it is shown, and opens nothing."""
    letters = _letters(REFERENCE_LETTERS)
    return f"{letters[:4]}-{letters[4:]}"


def normal(typed: str) -> str:
    """A code as it was typed, without what people add; empty for what cannot be one."""
    plain = "".join(one for one in typed.upper() if one.isalnum())
    return plain if len(plain) == CODE_LETTERS and plain.isascii() else ""


def _letters(count: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(count))
