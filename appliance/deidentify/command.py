"""`ranvier passport verify FILE [FOLDER]`: checks a passport's signature, and that a folder holds exactly its files.

Exit codes: 0 genuine and as verified, 1 not, 66 when the file cannot be read.
"""

import argparse
from pathlib import Path

import msgspec

from appliance.deidentify.passport import Passport
from appliance.deidentify.signature import is_genuine, public_key
from appliance.deidentify.verifier import release
from appliance.errors import RanvierError
from appliance.keys import load_keys


def main(arguments: list[str], *, home: Path) -> int:
    """Says what is wrong, or that nothing is."""
    parser = argparse.ArgumentParser(prog="ranvier passport")
    parser.add_argument("verb", choices=["verify"])
    parser.add_argument("file", type=Path)
    parser.add_argument(
        "folder", type=Path, nargs="?", help="the de-identified files; without it only the signature is checked"
    )
    parser.add_argument("--key", help="the appliance's public key, hexadecimal; without it this appliance's own")
    given = parser.parse_args(arguments)
    try:
        passport = msgspec.json.decode(given.file.read_bytes(), type=Passport)
    except (OSError, msgspec.DecodeError):
        print("The passport cannot be read.")
        return 66
    key = given.key or public_key(load_keys(home / "keys" / "root.key").derive("passport"))
    if not is_genuine(passport, key):
        print("The signature is not of this key, or the passport was changed.")
        return 1
    if given.folder is not None:
        try:
            release(given.folder, passport)
        except RanvierError as error:
            print(error.what)
            return 1
    state = "clean" if passport.clean else f"{len(passport.residues)} residues"
    print(f"Genuine: {passport.profile} {passport.profile_version}, {passport.instances} instances, {state}.")
    return 0
