"""The import names `gateway`, `channels` and `agents` lead to us and to nobody else.

The names are common words (docs/adr/0001-package-names.md), so each way of losing them is tried
here: another distribution beside us, in front of us, and written over us.
"""

import os
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from gateway import __main__ as entry

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("gateway", "channels", "agents")
PROCESS_TIMEOUT_S = 60
"""A child interpreter starts in well under a second; a loaded machine may need many."""

pytestmark = pytest.mark.timeout(PROCESS_TIMEOUT_S)


def python(
    *arguments: str, cwd: Path = ROOT, path: tuple[Path, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run this environment's interpreter with `path` in front of everything installed."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path))},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PROCESS_TIMEOUT_S,
        check=False,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    built = python("-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder))
    assert built.returncode == 0, built.stderr
    [path] = folder.glob("*.whl")
    return path


@pytest.fixture
def installed(wheel: Path, tmp_path: Path) -> Path:
    """The wheel laid out as an installer would: first on the path, checkout out of reach."""
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site


def write_stranger(folder: Path, *, distribution: str | None) -> Path:
    """A package called `agents` that must never run, with or without a distribution owning it."""
    (folder / "agents").mkdir(parents=True, exist_ok=True)
    (folder / "agents" / "__init__.py").write_text("raise RuntimeError('a stranger ran')\n")
    if distribution:
        info = folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1\n")
        (info / "top_level.txt").write_text("agents\n")
    return folder


def test_nobody_else_owns_our_names_in_this_environment() -> None:
    """An editable install lists no packages, so here the others are what counts.

    This is also what refuses a dependency that brings one of the names along.
    """
    owners = metadata.packages_distributions()
    others = {name: set(owners.get(name, ())) - {"turngate"} for name in NAMES}
    assert not any(others.values()), f"docs/adr/0001-package-names.md forbids these: {others}"
    assert metadata.version("turngate")


def test_the_wheel_holds_our_three_packages_whole_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
        infos = {name.split("/")[0] for name in archive.namelist()} - set(NAMES)
    expected = {
        path.relative_to(ROOT).as_posix()
        for name in NAMES
        for path in (ROOT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert inside == expected
    assert infos == {f"turngate-{metadata.version('turngate')}.dist-info"}


def test_an_installed_wheel_is_the_only_owner_and_starts(installed: Path, tmp_path: Path) -> None:
    shown = python(
        "-P",
        "-c",
        "from importlib.metadata import packages_distributions as p; import agents;"
        f"print(agents.__file__, *(o for n in {NAMES} for o in p()[n]))",
        cwd=tmp_path,
        path=(installed,),
    )
    file, *owners = shown.stdout.split()
    assert Path(file).is_relative_to(installed), shown
    assert owners == ["turngate"] * 3

    version = python("-P", "-m", "gateway", "--version", cwd=tmp_path, path=(installed,))
    assert version.returncode == 0, version.stderr
    assert metadata.version("turngate") in version.stdout


@pytest.mark.parametrize("elsewhere", [False, True], ids=["checkout", "elsewhere"])
def test_it_starts_without_the_current_folder_on_the_path(elsewhere: bool, tmp_path: Path) -> None:
    """`-P` is how an installed script sees the world; a checkout hides mistakes with imports."""
    shown = python("-P", "-m", "gateway", "--version", cwd=tmp_path if elsewhere else ROOT)
    assert shown.returncode == 0, shown.stderr
    assert metadata.version("turngate") in shown.stdout


@pytest.mark.parametrize(
    ("distribution", "named"),
    [("another-agents", "another-agents"), (None, "agents/__init__.py, which belongs to no")],
    ids=["distribution", "stray-folder"],
)
def test_a_stranger_in_front_of_us_is_refused_by_name(
    distribution: str | None, named: str, tmp_path: Path
) -> None:
    stranger = write_stranger(tmp_path / "stranger", distribution=distribution)
    shown = python("-m", "gateway", "--version", cwd=tmp_path, path=(stranger,))
    assert_refused(shown, named)


def test_a_stranger_written_over_us_is_refused_by_name(installed: Path, tmp_path: Path) -> None:
    """What a second install into the same environment does; pip says nothing about it."""
    write_stranger(installed, distribution="another-agents")
    shown = python("-P", "-m", "gateway", "--version", cwd=tmp_path, path=(installed,))
    assert_refused(shown, "another-agents")


def assert_refused(shown: subprocess.CompletedProcess[str], named: str) -> None:
    assert shown.returncode == 78, shown
    assert "'agents'" in shown.stderr
    assert named in shown.stderr
    assert "docs/adr/0001-package-names.md" in shown.stderr
    assert "Traceback" not in shown.stderr
    assert "a stranger ran" not in shown.stderr


def test_the_marker_is_looked_for_without_importing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same decision in this process, on names that nothing else uses."""
    for name, source in {"marked_one": entry.MARKER, "foreign_one": "raise RuntimeError"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f'"""Docstring."""\n\n{source}\n')
    (tmp_path / "bare_folder").mkdir()
    monkeypatch.syspath_prepend(tmp_path)

    assert entry.intrusion() is None
    assert entry.intrusion(["marked_one"]) is None
    for name, says in {
        "foreign_one": "belongs to no installed distribution",
        "bare_folder": "its __init__.py is gone",
        "no_such_name": "its __init__.py is gone",
        "pytest": "is taken by pytest",
    }.items():
        message = entry.intrusion(["marked_one", name])
        assert message is not None
        assert repr(name) in message
        assert says in message


def test_an_intrusion_ends_the_process_with_78(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(entry, "intrusion", lambda: "somebody is here\n")
    with pytest.raises(SystemExit) as ended:
        entry.main()
    assert ended.value.code == entry.EXIT_CONFIG == 78
    assert capsys.readouterr().err == "somebody is here\n"
