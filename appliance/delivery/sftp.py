"""A report to an SFTP server whose host key is known; each file complete under its name, or not there."""

import asyncio
import base64
import binascii
import io
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from appliance.delivery.parcel import Outcome, Parcel, Result
from appliance.delivery.section import Sftp
from appliance.errors import Misconfigured
from appliance.probe import Probe


class HostKeyDiffers(Misconfigured):
    """{host} proved itself with another host key than the setting has; nothing was sent."""

    code = "host-key-differs"
    next_step = "Ask whoever looks after the host; if its key was changed, enter the new one."


class KeyUnusable(Misconfigured):
    """The private key cannot be read."""

    code = "private-key-unusable"
    next_step = "Enter the key in OpenSSH or PEM form, without a password."


class SignInRefused(Misconfigured):
    """{host} did not accept user and key or password."""

    code = "sftp-sign-in"
    next_step = "Check user, password and key, and that the host takes this kind of sign-in."


class SftpFault(Exception):
    """A fault that may pass; its message holds nothing that the host said."""


async def send(parcel: Parcel, section: Sftp) -> Outcome:
    """Puts the parcel's files into the host's folder, each under a draft's name first and then renamed.

    Another host key, a refused sign-in and a refused folder are REFUSED; whatever the network does is tried again.
    """
    wanted = [one for one in section.formats if one in parcel.files]
    if not wanted:
        return Outcome(
            result=Result.REFUSED, answer=f"This {parcel.kind} has none of the formats {', '.join(section.formats)}."
        )
    try:
        return await asyncio.to_thread(_send, [Path(parcel.files[one]) for one in wanted], section)
    except Misconfigured as error:
        return Outcome(result=Result.REFUSED, answer=error.what)
    except SftpFault as fault:
        return Outcome(result=Result.TRY_AGAIN, answer=str(fault))


async def probe(section: Sftp) -> Probe:
    """Checks host key, sign-in and folder; writes nothing."""
    try:
        return await asyncio.to_thread(_probe, section)
    except Misconfigured as error:
        return Probe(ok=False, lines=[error.what, error.advice])
    except SftpFault as fault:
        return Probe(ok=False, lines=[str(fault)])


def _send(files: list[Path], section: Sftp) -> Outcome:
    with _session(section) as session:
        try:
            for file in files:
                target = f"{section.folder.rstrip('/') or '/'}/{file.name}"
                draft = f"{section.folder.rstrip('/') or '/'}/.{file.name}.part"
                session.putfo(io.BytesIO(file.read_bytes()), draft, confirm=True)
                _rename(session, draft, target)
        except PermissionError:
            return Outcome(result=Result.REFUSED, answer=f"{section.host} does not allow to write into the folder.")
        except FileNotFoundError:
            return Outcome(result=Result.REFUSED, answer=f"The folder is not there on {section.host}.")
        except OSError as fault:
            raise SftpFault(f"{section.host} could not take the file ({type(fault).__name__}).") from None
    return Outcome(result=Result.SENT, answer=f"{section.host} has {len(files)} file(s).")


def _rename(session: Any, draft: str, target: str) -> None:
    try:
        session.posix_rename(draft, target)
    except OSError:
        # A server without OpenSSH's extension renames onto nothing only.
        with suppress(FileNotFoundError):
            session.remove(target)
        session.rename(draft, target)


def _probe(section: Sftp) -> Probe:
    with _session(section) as session:
        lines = [f"{section.host} has the expected host key and accepted the sign-in."]
        try:
            session.listdir_attr(section.folder)
        except OSError:
            return Probe(ok=False, lines=[*lines, "The folder is not there, or may not be read."])
    return Probe(ok=True, lines=[*lines, "The folder is there. Nothing was written by this test."])


@contextmanager
def _session(section: Sftp) -> Iterator[Any]:
    """An SFTP session with a host that has proved itself; raises `Misconfigured` or `SftpFault`."""
    import paramiko

    place = f"{section.host} port {section.port}"
    try:
        plain = socket.create_connection((section.host, section.port), timeout=section.timeout_s)
    except OSError as fault:
        why = "is not known to the network" if isinstance(fault, socket.gaierror) else "could not be reached"
        raise SftpFault(f"{place} {why}.") from None
    transport = paramiko.Transport(plain)
    transport.banner_timeout = transport.auth_timeout = transport.channel_timeout = section.timeout_s
    try:
        _prove(transport, section)
        _sign_in(transport, section)
        session = paramiko.SFTPClient.from_transport(transport)
        if session is None:
            raise SftpFault(f"{place} opened no SFTP session.")
        session.get_channel().settimeout(section.timeout_s)
        yield session
    except paramiko.SSHException as fault:
        raise SftpFault(f"{place} broke off or did not speak SFTP ({type(fault).__name__}).") from None
    except (TimeoutError, EOFError):
        raise SftpFault(f"{place} took longer than {section.timeout_s} s or broke off.") from None
    finally:
        transport.close()
        plain.close()


def _prove(transport: Any, section: Sftp) -> None:
    kind, _, encoded = section.host_key.partition(" ")
    try:
        expected = base64.b64decode(encoded.split()[0], validate=True)
    except (binascii.Error, IndexError):
        raise HostKeyDiffers(field="host_key", host=section.host) from None
    kinds = ("rsa-sha2-512", "rsa-sha2-256") if kind == "ssh-rsa" else (kind,)
    options = transport.get_security_options()
    if not set(kinds) <= set(options.key_types):
        raise HostKeyDiffers(field="host_key", host=section.host)
    options.key_types = kinds
    transport.start_client(timeout=section.timeout_s)
    if transport.get_remote_server_key().asbytes() != expected:
        raise HostKeyDiffers(field="host_key", host=section.host)


def _sign_in(transport: Any, section: Sftp) -> None:
    import paramiko

    try:
        if section.private_key:
            transport.auth_publickey(section.user, _key(section.private_key.reveal()))
        else:
            transport.auth_password(section.user, section.password.reveal())
    except (paramiko.AuthenticationException, paramiko.BadAuthenticationType):
        raise SignInRefused(field="user", host=section.host) from None


def _key(text: str) -> Any:
    import paramiko

    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            return kind.from_private_key(io.StringIO(text.strip() + "\n"))
        except (paramiko.SSHException, ValueError, IndexError):
            continue
    raise KeyUnusable(field="private_key")
