"""Debian's rsyslog as the site's syslog server, in the clear or with TLS."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.certificates import Pair
from tests.servers import a_free_port, program, running, until

_TEMPLATE = "%pri-text%|%protocol-version%|%app-name%|%msgid%|%structured-data%|%msg%\\n"


@contextmanager
def a_collector(
    folder: Path, *, authority: Pair | None = None, server: Pair | None = None, port: int = 0
) -> Iterator[tuple[int, Path]]:
    """rsyslog on a port of both transports, or with TLS that demands a certificate of `authority`; and the file it writes.

    Each message stands on one line with its structured data.
    """
    port, received = port or a_free_port(), folder / "received.log"
    received.touch()
    configuration = folder / "rsyslog.conf"
    secured = ""
    inputs = f"""module(load="imudp")
input(type="imudp" address="127.0.0.1" port="{port}")
"""
    if authority is not None and server is not None:
        for name, text in (("ca", authority.certificate), ("cert", server.certificate), ("key", server.key)):
            (folder / f"{name}.pem").write_text(text)
        secured = (
            f'DefaultNetstreamDriver="ossl" DefaultNetstreamDriverCAFile="{folder}/ca.pem" '
            f'DefaultNetstreamDriverCertFile="{folder}/cert.pem" DefaultNetstreamDriverKeyFile="{folder}/key.pem"'
        )
        inputs = ""
    driver = ' StreamDriver.Name="ossl" StreamDriver.Mode="1" StreamDriver.AuthMode="x509/certvalid"' if secured else ""
    configuration.write_text(
        f"""global(workDirectory="{folder}" maxMessageSize="64k" {secured})
module(load="imtcp"{driver})
{inputs}input(type="imtcp" address="127.0.0.1" port="{port}")
template(name="all" type="string" string="{_TEMPLATE}")
action(type="omfile" file="{received}" template="all")
"""
    )
    argv = [program("rsyslogd", "rsyslog"), "-n", "-f", str(configuration), "-i", str(folder / "rsyslog.pid")]

    def listens() -> bool:
        udp = bool(secured) or f":{port:04X} " in Path("/proc/net/udp").read_text()
        return udp and f":{port:04X} " in Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()

    with running(argv, listens, folder / "rsyslog.out"):
        yield port, received


def lines_of(received: Path, wanted: int) -> list[str]:
    """What it has written, as soon as there are so many lines."""
    until(lambda: received.read_text(errors="replace").count("\n") >= wanted, f"{wanted} lines of rsyslog")
    return received.read_text(errors="replace").splitlines()
