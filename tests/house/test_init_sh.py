"""`init.sh` before and after the packages: what it asks for, what it hands on, what it does not do twice.

Stand-ins for Python, uv and sudo take the place of the real ones, so that no network is needed; `.ci/run` runs the real thing.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.house.tree import ROOT
from tests.servers import program

# Stands for every Python: says that it is recent enough unless OLD, can make environments unless NO_VENV.
PYTHON = """#!/bin/sh
case "$*" in
    *version_info\\ *) test -z "$OLD"; exit ;;
    *"import venv, ensurepip"*) test -z "$NO_VENV" || test -e "$SANDBOX/venv-installed"; exit ;;
    "-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; echo "made $3" >>"$SANDBOX/log" ;;
    "-m pip --version") exit 0 ;;
    "-m pip config list") cat "$SANDBOX/pip-config" 2>/dev/null ;;
    "-m pip install"*) to=$(dirname "$0")/../installer/bin; mkdir -p "$to"; cp "$SANDBOX/bin/fake-uv" "$to/uv" ;;
    -V) echo "Python 3.11.99" ;;
    *sys.executable*) echo /usr/bin/python3 ;;
    *) echo "3.11 /usr" ;;
esac
"""
UV = """#!/bin/sh
echo "uv $*" >>"$SANDBOX/log"
env | grep -E '^(UV_|SSL_|ALL_PROXY)' | sort >"$SANDBOX/environment"
case "$1 $2" in
    "export "*) exit 0 ;;
    "pip install") if [ -n "$BREAKS" ]; then exit 1; fi; cp "$SANDBOX/bin/fake-ranvier" "$SANDBOX/clone/.venv/bin/ranvier" ;;
esac
"""
# Tools that every Debian has; nothing else is on the sandbox's PATH.
TOOLS: tuple[str, ...] = (
    "sh",
    "cat",
    "cp",
    "cut",
    "dirname",
    "env",
    "flock",
    "grep",
    "head",
    "id",
    "mkdir",
    "rm",
    "sed",
    "sha256sum",
    "sort",
)
TOOLS += ("test", "tr", "true")
RANVIER = '#!/bin/sh\nif [ "$1" = extras ]; then cat "$SANDBOX/extras" 2>/dev/null; exit; fi\necho "ranvier $*"\n'


class Sandbox:
    """A clone with nothing but stand-ins on its PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clone = folder / "clone"
        self.clone.mkdir()
        (folder / "bin").mkdir()
        for name in ("init.sh", "uv.lock", "pyproject.toml"):
            shutil.copy(ROOT / name, self.clone / name)
        for name, text in {"python3": PYTHON, "fake-uv": UV, "fake-ranvier": RANVIER}.items():
            self.program(name, text)
        for name in TOOLS:
            (folder / "bin" / name).symlink_to(program(name, "coreutils"))

    def program(self, name: str, text: str) -> None:
        """Puts a stand-in on the PATH."""
        path = self.folder / "bin" / name
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs init.sh."""
        given = {"PATH": str(self.folder / "bin"), "SANDBOX": str(self.folder), "HOME": str(self.folder), **environment}
        argv = ["/bin/sh", str(self.clone / "init.sh"), *arguments]
        return subprocess.run(argv, cwd="/", env=given, capture_output=True, text=True, timeout=60)

    @property
    def log(self) -> list[str]:
        """What the stand-ins were asked to do."""
        path = self.folder / "log"
        return path.read_text().splitlines() if path.exists() else []

    def exported(self) -> str:
        """What uv was asked for last."""
        return [line for line in self.log if line.startswith("uv export")][-1]

    def as_ordinary_user(self) -> None:
        """`id -u` says 1000, and sudo wants a password."""
        self.program("id", "#!/bin/sh\necho 1000\n")
        self.program("sudo", "#!/bin/sh\nexit 1\n")
        self.program("apt-get", '#!/bin/sh\necho "apt-get $*" >>"$SANDBOX/log"\n')


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path)


def test_it_makes_the_environment_and_hands_over_to_the_wizard(sandbox: Sandbox) -> None:
    done = sandbox.run("--answers", "a file.toml")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "ranvier init --answers a file.toml"
    assert [line.split()[0] for line in done.stdout.splitlines()[:4]] == ["[1/4]", "[2/4]", "[3/4]", "[4/4]"]


def test_packages_are_installed_by_their_hashes_and_without_those_of_the_tests(sandbox: Sandbox) -> None:
    assert sandbox.run("--environment-only").returncode == 0
    export, sync, install = (line for line in sandbox.log if line.startswith("uv "))
    assert "--frozen" in export and "--no-dev" in export and "--no-emit-project" in export
    assert "--require-hashes" in sync and "--compile-bytecode" in sync
    assert "--no-deps" in install and "--no-build-isolation" in install


def test_the_demonstration_gets_the_other_arguments(sandbox: Sandbox) -> None:
    done = sandbox.run("--once", "--demo", "--data", "/some where")
    assert done.stdout.splitlines()[-1] == "ranvier demo --once --data /some where"


def test_a_second_run_installs_nothing(sandbox: Sandbox) -> None:
    sandbox.run("--environment-only")
    before = sandbox.log
    done = sandbox.run("--environment-only")
    assert (done.returncode, done.stdout) == (0, "")
    assert sandbox.log == before


def test_the_environment_of_the_tests_serves_the_appliance_too_but_not_the_other_way(sandbox: Sandbox) -> None:
    sandbox.run("--environment-only")
    sandbox.run("--environment-only", "--dev")
    assert "--group dev" in [line for line in sandbox.log if line.startswith("uv export")][-1]
    before = sandbox.log
    sandbox.run("--environment-only")
    assert sandbox.log == before


def test_an_extra_that_was_asked_for_once_is_kept_by_every_later_run(sandbox: Sandbox) -> None:
    """PRO-06: a site with a cluster runs init.sh again after an update, without thinking of the extra."""
    sandbox.run("--environment-only", "--extra", "cluster")
    assert "--extra cluster" in sandbox.exported()
    before = sandbox.log
    sandbox.run("--environment-only")
    assert sandbox.log == before
    with (sandbox.clone / "uv.lock").open("a") as lock:
        lock.write("# changed\n")
    sandbox.run("--environment-only", "--dev")
    assert "--extra cluster" in sandbox.exported()
    assert "--group dev" in sandbox.exported()
    wrong = sandbox.run("--environment-only", "--extra", "clutter")
    assert (wrong.returncode, "cluster" in wrong.stderr) == (78, True)


def test_what_the_settings_need_is_installed_unasked(sandbox: Sandbox) -> None:
    """PRO-06: also into an environment that is made anew."""
    (sandbox.folder / "extras").write_text("cluster\nsomething-newer\n")
    assert sandbox.run("--environment-only").returncode == 0
    assert "--extra cluster" in sandbox.exported()
    assert "something-newer" not in sandbox.exported()
    before = sandbox.log
    sandbox.run("--environment-only")
    assert sandbox.log == before


def test_a_changed_lock_is_installed(sandbox: Sandbox) -> None:
    sandbox.run("--environment-only")
    before = sandbox.log
    with (sandbox.clone / "uv.lock").open("a") as lock:
        lock.write("# changed\n")
    sandbox.run("--environment-only")
    assert len(sandbox.log) > len(before)


def test_a_run_that_broke_off_is_finished_by_the_next(sandbox: Sandbox) -> None:
    assert sandbox.run(BREAKS="1").returncode != 0
    done = sandbox.run()
    assert done.stdout.splitlines()[-1] == "ranvier init"


def test_an_environment_that_no_longer_works_is_made_again(sandbox: Sandbox) -> None:
    sandbox.run("--environment-only")
    (sandbox.clone / ".venv" / "bin" / "python").write_text("#!/bin/sh\nexit 1\n")
    assert sandbox.run("--environment-only").returncode == 0
    assert sum(line.startswith("made ") for line in sandbox.log) == 2


def test_an_old_python_is_answered_with_the_line_that_helps(sandbox: Sandbox) -> None:
    done = sandbox.run(OLD="1")
    assert done.returncode == 78
    assert "3.11" in done.stderr and "sudo apt-get install python3 python3-venv" in done.stderr


def test_without_venv_and_without_root_the_line_that_installs_it_is_printed(sandbox: Sandbox) -> None:
    sandbox.as_ordinary_user()
    done = sandbox.run(NO_VENV="1")
    assert done.returncode == 78
    assert done.stderr.splitlines()[-1].strip().startswith("sudo apt-get install python3")
    assert not any(line.startswith("apt-get") for line in sandbox.log)


def test_with_passwordless_sudo_venv_is_installed(sandbox: Sandbox) -> None:
    sandbox.as_ordinary_user()
    sandbox.program("sudo", '#!/bin/sh\nshift\nexec "$@"\n')
    sandbox.program("apt-get", '#!/bin/sh\necho "apt-get $*" >>"$SANDBOX/log"\n: >"$SANDBOX/venv-installed"\n')
    done = sandbox.run("--environment-only", NO_VENV="1")
    assert done.returncode == 0, done.stderr
    assert [line.split()[1] for line in sandbox.log if line.startswith("apt-get")] == ["update", "install"]


def test_the_sites_own_package_index_is_used(sandbox: Sandbox) -> None:
    (sandbox.folder / "pip-config").write_text(
        "global.index-url='https://mirror.example/simple'\n"
        "global.extra-index-url='https://a.example/simple https://b.example/simple'\n"
        "global.find-links='/srv/wheels /srv/more'\n"
        "global.cert='/etc/ssl/site.pem'\n"
        ":env:.find-links='/usr/local/wheels'\n"
    )
    assert sandbox.run("--environment-only").returncode == 0
    assert dict(line.split("=", 1) for line in (sandbox.folder / "environment").read_text().splitlines()) == {
        "UV_DEFAULT_INDEX": "https://mirror.example/simple",
        "UV_INDEX": "https://a.example/simple https://b.example/simple",
        "UV_FIND_LINKS": "/usr/local/wheels",
        "SSL_CERT_FILE": "/etc/ssl/site.pem",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_PYTHON_DOWNLOADS": "never",
    }


def test_what_the_user_says_to_uv_goes_before_what_pip_is_told(sandbox: Sandbox) -> None:
    (sandbox.folder / "pip-config").write_text("global.index-url='https://mirror.example/simple'\n")
    sandbox.run("--environment-only", UV_DEFAULT_INDEX="https://own.example/simple")
    assert "UV_DEFAULT_INDEX=https://own.example/simple" in (sandbox.folder / "environment").read_text()


def test_it_explains_itself(sandbox: Sandbox) -> None:
    done = sandbox.run("--help")
    assert done.returncode == 0
    for word in ("--demo", "--answers", "--environment-only", "78"):
        assert word in done.stdout
    assert sandbox.log == []


@pytest.mark.parametrize("name", ["init.sh", "tests/run"])
def test_the_scripts_are_read_by_the_plain_shell(name: str) -> None:
    assert subprocess.run(["/bin/sh", "-n", ROOT / name]).returncode == 0
