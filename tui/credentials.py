"""Where the API is and who we are to it: environment first, then a file only the user can read."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

DEFAULT_URL = "http://127.0.0.1:3001"


class TokenFileOpen(Exception):
    """The token file can be read by others."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} can be read by other users: chmod 600 {path}, or sign in again with `ranvier login`.")


def folder(environment: Mapping[str, str]) -> Path:
    """The user's own configuration folder."""
    base = environment.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "ranvier"


def url(environment: Mapping[str, str], given: str = "") -> str:
    """The API's address."""
    return given or environment.get("RANVIER_URL") or DEFAULT_URL


def token(environment: Mapping[str, str]) -> str:
    """The session's token, or empty; raises `TokenFileOpen` when the file is not private."""
    if environment.get("RANVIER_TOKEN"):
        return environment["RANVIER_TOKEN"]
    path = folder(environment) / "token"
    try:
        with path.open() as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise TokenFileOpen(path)
            return file.read().strip()
    except FileNotFoundError:
        return ""


def store(environment: Mapping[str, str], value: str) -> Path:
    """Keeps a token for later commands in a file with mode 0600; gives its path."""
    place = folder(environment)
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    path, fresh = place / "token", place / f"token.{os.getpid()}"
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(value + "\n")
    fresh.replace(path)
    return path


def forget(environment: Mapping[str, str]) -> None:
    """Removes the stored token."""
    (folder(environment) / "token").unlink(missing_ok=True)
