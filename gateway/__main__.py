"""The way in for `turngate` and `python -m gateway`: check that our names are ours, then hand over.

`channels` and `agents` are common words. Another distribution that installs one of them overwrites
ours without a sound, and what follows is an ImportError that explains nothing. So each of our three
packages carries a marker, and nothing else of the project is imported before all three are seen.
The guard reads their files instead of importing them: a stranger's code does not get to run.
"""

import importlib.util
import sys
from collections.abc import Iterable

MARKER = 'DISTRIBUTION = "turngate"'
PACKAGES = ("gateway", "channels", "agents")
EXIT_INTERRUPTED = 130
"""128 and the number of SIGINT, as shells say it."""
EXIT_CONFIG = 78
"""EX_CONFIG of sysexits.h: the environment is wrong, trying again will not help."""


def main() -> None:
    """Run the command line, or say who took one of our names and exit with 78."""
    if refusal := intrusion():
        sys.stderr.write(refusal)
        sys.exit(EXIT_CONFIG)
    try:
        from gateway.cli.main import main as run  # noqa: PLC0415 - the guard comes before any other project import

        sys.exit(run())
    except KeyboardInterrupt:  # while something was being loaded: the place does not matter
        sys.exit(EXIT_INTERRUPTED)


def intrusion(packages: Iterable[str] = PACKAGES) -> str | None:
    """The message to refuse with, or None when every package is marked as ours."""
    for package in packages:
        found = _source_file(package)
        if not _is_marked(found):
            return _explain(package, found)
    return None


def _source_file(package: str) -> str | None:
    spec = importlib.util.find_spec(package)
    return spec.origin if spec else None


def _is_marked(path: str | None) -> bool:
    if path is None:  # missing, or a bare folder left behind by another distribution's removal
        return False
    with open(path, encoding="utf-8", errors="replace") as source:
        return any(line.strip() == MARKER for line in source)


def _explain(package: str, found: str | None) -> str:
    from importlib import metadata  # noqa: PLC0415 - needed only here, and slow to import

    owners = set(metadata.packages_distributions().get(package, ())) - {"turngate"}
    if owners:
        what = f"is taken by {' and '.join(sorted(owners))}"
        remedy = "Install turngate in an environment of its own, where nothing else is installed"
    elif found:
        what = f"leads to {found}, which belongs to no installed distribution"
        remedy = "Start turngate from another folder, or take that one off PYTHONPATH"
    else:
        what = "leads nowhere: its __init__.py is gone"
        remedy = "Install turngate again, in an environment of its own"
    return (
        f"turngate cannot start: the import name {package!r} {what}.\n"
        f"{remedy}.\n"
        "Why this happens: docs/adr/0001-package-names.md\n"
    )


if __name__ == "__main__":
    main()
