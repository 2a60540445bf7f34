"""What a person chose for their own console: kept beside the token, never anything of a patient."""

from pathlib import Path

import msgspec


class Preferences(msgspec.Struct, kw_only=True):
    """The choices, with their defaults."""

    theme: str = "ranvier-dark"
    relative_times: bool = False


def load(path: Path) -> Preferences:
    """Reads the choices; a missing or unreadable file is all defaults."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Preferences)
    except (OSError, msgspec.MsgspecError):
        return Preferences()


def save(path: Path, preferences: Preferences) -> None:
    """Writes the choices."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(path.name + ".new")
    fresh.write_bytes(msgspec.json.encode(preferences))
    fresh.replace(path)
