"""A Dask cluster for the time of a block: a scheduler and workers as processes of their own on loopback, with TLS."""

import contextlib
import datetime
import ipaddress
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from appliance.compute.dask import Cluster
from tests.servers import HOST, a_free_port, answers, for_our_lifetime, until

PATIENCE_S = 240.0
"""A worker imports for two seconds of CPU, which a busy machine may stretch."""
REPOSITORY = Path(__file__).resolve().parents[1]


@dataclass
class RunningCluster:
    """Where it is, and its processes."""

    cluster: Cluster
    start: Callable[[str], subprocess.Popen[bytes]]
    """Starts a worker of that name and waits until the scheduler knows it."""
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def add_worker(self) -> None:
        """One worker more."""
        self.workers.append(self.start(f"worker{len(self.workers)}"))

    def busy_worker(self) -> subprocess.Popen[bytes] | None:
        """A worker that runs a stage now."""
        for worker in self.workers:
            if self.stage_of(worker) is not None:
                return worker
        return None

    @staticmethod
    def stage_of(worker: subprocess.Popen[bytes]) -> psutil.Process | None:
        """The stage's process below a worker."""
        with contextlib.suppress(psutil.Error):
            for child in psutil.Process(worker.pid).children():
                if "stage" in child.cmdline():
                    return child
        return None


def certificates(folder: Path) -> tuple[Path, Path, Path]:
    """Files of a certificate authority, a certificate for loopback that it signed, and that one's key."""
    folder.mkdir(parents=True)
    now = datetime.datetime.now(datetime.UTC)

    def made(name: str, key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey, by: str, ca: bool) -> bytes:
        def named(text: str) -> x509.Name:
            return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

        builder = (
            x509.CertificateBuilder()
            .subject_name(named(name))
            .issuer_name(named(by))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
        )
        return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    authority, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    files = folder / "ca.pem", folder / "cert.pem", folder / "key.pem"
    files[0].write_bytes(made("test authority", authority, authority, "test authority", True))
    files[1].write_bytes(made("test node", own, authority, "test authority", False))
    plain = serialization.NoEncryption()
    files[2].write_bytes(own.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return files


@contextlib.contextmanager
def a_cluster(folder: Path, workers: int = 2) -> Iterator[RunningCluster]:
    """A scheduler that leaves failures to us, and so many workers of one thread each."""
    ca, certificate, key = certificates(folder / "tls")
    port = a_free_port()
    tls = ["--tls-ca-file", str(ca), "--tls-cert", str(certificate), "--tls-key", str(key)]
    cluster = Cluster(address=f"tls://{HOST}:{port}", ca=str(ca), certificate=str(certificate), key=str(key))
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",
        "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "true",
    }
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str, *words: str) -> subprocess.Popen[bytes]:
        with (folder / f"{name}.log").open("wb") as log:
            child = subprocess.Popen(
                for_our_lifetime([sys.executable, "-m", *words, *tls]), env=environment, stdout=log, stderr=log, cwd=folder
            )
        started.append(child)
        return child

    def registered(name: str) -> bool:
        return "Registered to" in (folder / f"{name}.log").read_text(errors="replace")

    def worker(name: str) -> subprocess.Popen[bytes]:
        words = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--memory-limit", "0", "--host", HOST]
        words += ["--name", name, "--local-directory", str(folder / name)]
        return start(name, "distributed.cli.dask_worker", cluster.address, *words)

    def ready_worker(name: str) -> subprocess.Popen[bytes]:
        found = worker(name)
        until(lambda: registered(name), name, PATIENCE_S)
        return found

    running = RunningCluster(cluster, ready_worker)
    scheduler = ["--host", HOST, "--protocol", "tls", "--port", str(port), "--no-dashboard"]
    try:
        start("scheduler", "distributed.cli.dask_scheduler", *scheduler)
        until(lambda: answers(port), "the scheduler", PATIENCE_S)
        names = [f"worker{number}" for number in range(workers)]
        # Together: each imports for seconds.
        running.workers += [worker(name) for name in names]
        until(lambda: all(registered(name) for name in names), "workers", PATIENCE_S)
        yield running
    finally:
        for child in reversed(started):
            child.kill()
            child.wait()
