"""What is installed is what the locks name, today and in a year, with every pip we support.

The locked files come once through whatever pip is configured for, and minutes. From then on the
only index is one on loopback that also offers a newer release of everything: the world in a year.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Container, Iterator
from importlib.util import find_spec
from pathlib import Path
from socket import socket

import pytest
from packaging.utils import canonicalize_name

from tests.support.package_index import Index, release, serving

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted(ROOT.glob("requirements*.lock"))
PIPS = ("22.3.1", "23.0.1", "23.2.1", "")
"""Of Python 3.11.1, and about the first with `--python`; of Debian 12; of 3.12.1; the newest."""
PATIENCE_S = 600.0

Say = Callable[[str], None]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),  # downloads 260 MB once, then installs them again and again
]


@pytest.fixture(scope="module")
def say(pytestconfig: pytest.Config) -> Say:
    """Progress on the terminal while output is captured."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def write(line: str) -> None:
        with capture.global_and_fixture_disabled():
            sys.stderr.write(f"\n  {line}")

    return write


@pytest.fixture(scope="module")
def downloaded(tmp_path_factory: pytest.TempPathFactory, say: Say) -> Path:
    """Everything that is locked, and the pips."""
    files = tmp_path_factory.mktemp("packages") / "files"
    for lock in LOCKS:
        say(f"downloading what {lock.name} names ...")
        download("--require-hashes", "-r", str(lock), into=files)
    for version in PIPS:
        say(f"downloading pip {version or 'newest'} ...")
        download(f"pip=={version}" if version else "pip", into=files.with_name("pips"))
    return files


@pytest.fixture(scope="module")
def index(downloaded: Path) -> Iterator[Index]:
    with serving(downloaded) as served:
        yield served


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    folder = tmp_path / "turngate"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)
    return folder


@pytest.mark.parametrize("version", PIPS, ids=lambda version: version or "newest")
def test_the_locks_install_as_they_are(
    version: str, downloaded: Path, index: Index, clone: Path, say: Say
) -> None:
    wheel = pip_wheel(downloaded.with_name("pips"), version)
    say(f"installing with {wheel.name} from an index with newer releases ...")
    environment = alone(clone, PIP_INDEX_URL=index.url)
    use_pip(clone, wheel, environment)
    assert_index_tempts(clone, index, environment)
    index.asked.clear()
    made = make(clone, environment, "local", "dev")
    assert made.returncode == 0, made.stdout + made.stderr
    assert not index.newer & set(index.asked)
    listed = run(clone, environment, ".venv/bin/python", "-m", "pip", "list", "--format=json")
    installed: dict[str, str] = {
        canonicalize_name(entry["name"]): entry["version"] for entry in json.loads(listed.stdout)
    }
    assert installed["pip"] == str(release(wheel)[1]), "the pip under test did it"
    assert dict(pins(installed)).items() <= installed.items()


@pytest.mark.parametrize("version", [PIPS[0], PIPS[-1]], ids=["oldest", "newest"])
def test_a_failure_is_one_sentence_with_its_cause(
    version: str, downloaded: Path, index: Index, clone: Path, say: Say
) -> None:
    """pip ends with "no matching distribution found for editables", whatever went wrong."""
    say("installing where there is nothing to install from ...")
    use_pip(clone, pip_wheel(downloaded.with_name("pips"), version), alone(clone))
    with socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        closed = f"http://127.0.0.1:{taken.getsockname()[1]}"
        unreachable = alone(clone, PIP_INDEX_URL=f"{closed}/simple/", PIP_RETRIES="1")
        assert_one_sentence(make(clone, unreachable, "build"), "no connection to the package index")
        proxied = alone(
            clone,
            PIP_INDEX_URL="https://index.invalid/simple/",
            PIP_RETRIES="1",
            HTTPS_PROXY=closed.replace("//", "//user:secret@"),
        )
        assert_one_sentence(make(clone, proxied, "build"), f"the proxy {closed} refuses")
    lock = clone / "requirements-build.lock"
    lock.write_text(re.sub(r"sha256:\w{8}", "sha256:00000000", lock.read_text("utf-8")), "utf-8")
    other = make(clone, alone(clone, PIP_INDEX_URL=index.url), "build")
    assert_one_sentence(other, "serves another file than the lock file names")


def test_a_lock_that_lacks_a_package_is_noticed(index: Index, clone: Path) -> None:
    lock = clone / "requirements.lock"
    lock.write_text(re.sub(r"anyio==(?:.*\n    )*.*\n", "", lock.read_text("utf-8")), "utf-8")
    made = make(clone, alone(clone, PIP_INDEX_URL=index.url), "runtime")
    assert_one_sentence(made, "requires anyio, which is not installed")


# --- the machine ---------------------------------------------------------------------------------


def download(*what: str, into: Path) -> None:
    pip: tuple[str, ...] = (sys.executable, "-m", "pip")
    if (
        find_spec("pip") is None
    ):  # Debian without ensurepip: the interpreter's own pip works on .venv
        pip = (getattr(sys, "_base_executable", "python3"), *pip[1:], "--python", sys.executable)
    options = ("--no-deps", "--only-binary", ":all:", "--no-binary", "jsonrpcserver")
    subprocess.run(
        [*pip, "download", "-qq", *options, "--no-build-isolation", "-d", str(into), *what],
        check=True,
        timeout=PATIENCE_S,
    )


def alone(clone: Path, **more: str) -> dict[str, str]:
    """An environment in which pip knows nothing of this machine's configuration and cache."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    home = str(clone.parent)
    return {**kept, "HOME": home, "XDG_CACHE_HOME": home, "PIP_CONFIG_FILE": os.devnull, **more}


def run(clone: Path, environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words,
        cwd=clone,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def make(
    clone: Path, environment: dict[str, str], *stamps: str
) -> subprocess.CompletedProcess[str]:
    """Run `make` for these steps of the setup."""
    python = f"PYTHON={Path(sys.executable).resolve()}"
    return run(clone, environment, "make", python, *(f".venv/.stamps/{stamp}" for stamp in stamps))


def pip_wheel(folder: Path, version: str) -> Path:
    by_version = {release(file)[1]: file for file in folder.iterdir()}
    return next(folder.glob(f"pip-{version}-*")) if version else by_version[max(by_version)]


def use_pip(clone: Path, wheel: Path, environment: dict[str, str]) -> None:
    """Make the environment, and put this pip into it; a wheel of pip can install itself."""
    assert make(clone, environment, "venv").returncode == 0
    install = (f"{wheel}/pip", "install", "-qq", "--no-index", "--force-reinstall", str(wheel))
    done = run(clone, environment, ".venv/bin/python", *install)
    assert done.returncode == 0, done.stderr


def assert_index_tempts(clone: Path, index: Index, environment: dict[str, str]) -> None:
    """Without a lock the newer release is what pip takes."""
    python = ".venv/bin/python"
    done = run(clone, environment, python, "-m", "pip", "install", "--dry-run", "coverage[toml]")
    assert any(f"coverage-{name.split('-')[1]}" in done.stdout for name in index.newer), done.stderr


def pins(installed: Container[str]) -> Iterator[tuple[str, str]]:
    """What the locks name, less what their markers leave out on this system."""
    for lock in LOCKS:
        for name, version, marker in re.findall(
            r"^([\w.-]+)(?:\[.*\])?==(\S+)( ;)?", lock.read_text("utf-8"), re.MULTILINE
        ):
            if not marker or name in installed:
                yield name, version


def assert_one_sentence(made: subprocess.CompletedProcess[str], cause: str) -> None:
    assert made.returncode != 0
    said = [line for line in made.stderr.splitlines() if not line.startswith("make")]
    assert len(said) == 1, made.stderr
    assert cause in said[0]
    assert said[0].endswith(" .venv/pip.log")
    assert "secret" not in said[0]
