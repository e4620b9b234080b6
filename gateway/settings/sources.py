"""Where settings come from besides options: environment, secret files, `.env`, `turngate.toml`.

Reads each place, says which place gave a setting, and finds what no setting is called. Problems
are values, so that all of them are reported together. Does not know what the settings are for.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic.fields import FieldInfo

from gateway.core.suggestions import did_you_mean
from gateway.settings.words import PREFIX, is_secret

ENVIRONMENT = "environment"
DOTENV = ".env"
TOML = "turngate.toml"

FILE_SUFFIX = "_FILE"
"""`LLM_API_KEY_FILE` names a file that holds `LLM_API_KEY`, as containers and systemd hand them."""
MAX_SECRET_BYTES = 65_536
"""A secret is a line; a larger file is not one."""

OTHER_VARIABLES = {
    "TURNGATE_CRASHPOINT": "where the process kills itself, see "
    "[testing](testing.md#crash-points); not for daily use",
    "TURNGATE_TEST_SEED": "the seed of a random test, see [testing](testing.md#crash-points)",
}
"""Variables that begin like settings and are none."""

SHARED = "LLM_"
"""How settings begin that other programs have too: an unknown one is no reason to refuse."""
ALIKE = 0.7
"""Above it are the usual slips, as `LLM_KEY` and `LLM_URL`; below it, names others use."""

_KUBERNETES = re.compile(r"TURNGATE_(SERVICE_(HOST|PORT)|PORT_\d+_(TCP|UDP|SCTP))(_\w+)?")
"""What Kubernetes adds for a service that is called turngate, not by the operator."""


@dataclass(frozen=True, slots=True)
class Given:
    """One setting in one place, under the name it has there; `file` holds a secret's text."""

    place: str
    name: str
    value: Any
    file: Path | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What all places say: for each setting the one that wins, what is wrong, and what may be.

    `doubts` are names that look like settings and could as well be another program's.
    """

    given: Mapping[str, Given]
    problems: tuple[str, ...]
    doubts: tuple[str, ...]


def look(
    fields: Mapping[str, FieldInfo],
    *,
    environ: Mapping[str, str] | None = None,
    folder: Path = Path(),
) -> Found:
    """Read every place; never raises for what is in them."""
    problems: list[str] = []
    places = (
        (ENVIRONMENT, dict(os.environ if environ is None else environ)),
        (DOTENV, _read_dotenv(folder / DOTENV, problems)),
    )
    given: dict[str, Given] = {}
    doubts: list[str] = []
    for place, variables in places:
        doubts += _doubtful(fields, place, variables)
        for name, each in _of_variables(fields, place, variables, problems):
            given.setdefault(name, each)
    for name, each in _of_toml(fields, _read_toml(folder / TOML, problems), problems):
        given.setdefault(name, each)
    return Found(given, tuple(problems), tuple(doubts))


def _of_variables(
    fields: Mapping[str, FieldInfo],
    place: str,
    variables: Mapping[str, str],
    problems: list[str],
) -> Iterator[tuple[str, Given]]:
    values = {name.upper(): text for name, value in variables.items() if (text := value.strip())}
    known = _variables(fields)
    for name, field in fields.items():
        variable = name.upper()
        file = variable + FILE_SUFFIX if is_secret(field) else ""
        if variable in values and file in values:
            problems.append(f"{variable} and {file} ({place}): both are set; keep one of them")
        elif variable in values:
            yield name, Given(place, variable, values[variable])
        elif file in values:
            path = Path(values[file])
            secret = _read_secret(path, file, place, problems)
            if secret:
                yield name, Given(place, file, secret, path)
    for variable in sorted(values):
        if not variable.startswith("TURNGATE_") or variable in known:
            continue
        if variable not in OTHER_VARIABLES and not _KUBERNETES.fullmatch(variable):
            hint = _hint(variable, known)
            problems.append(f"{variable} ({place}): there is no such setting; {hint}")


def _variables(fields: Mapping[str, FieldInfo]) -> set[str]:
    """Every variable that is read."""
    files = {name.upper() + FILE_SUFFIX for name, field in fields.items() if is_secret(field)}
    return {name.upper() for name in fields} | files


def _doubtful(
    fields: Mapping[str, FieldInfo], place: str, variables: Mapping[str, str]
) -> Iterator[str]:
    known = {name for name in _variables(fields) if name.startswith(SHARED)}
    for variable in sorted(variables.keys() - known):
        # First of all, for comparing costs: hundreds of names for each variable of the machine.
        if not variable.startswith(SHARED):
            continue
        if hint := did_you_mean(variable, known, count=1, cutoff=ALIKE, otherwise=""):
            yield f"{variable} ({place}) is no setting of turngate; {hint}"


def _of_toml(
    fields: Mapping[str, FieldInfo], data: Mapping[str, Any], problems: list[str]
) -> Iterator[tuple[str, Given]]:
    for name, value in data.items():
        if name in fields:
            yield name, Given(TOML, name, value)
        elif isinstance(value, dict):
            problems.append(f"[{name}] ({TOML}): settings stand at the top, not in a table")
        else:
            problems.append(f"{name} ({TOML}): there is no such setting; {_hint(name, fields)}")


def _hint(name: str, known: Iterable[str]) -> str:
    every = "see them all with: turngate config show"
    return did_you_mean(name, known, count=1, prefix=PREFIX, otherwise=every)


def _read_secret(path: Path, name: str, place: str, problems: list[str]) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SECRET_BYTES + 1)
        text = data.decode("utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        problems.append(f"{name}={path} ({place}): cannot be read: {reason}")
        return ""
    if not text or len(data) > MAX_SECRET_BYTES or "\n" in text:
        problems.append(f"{name}={path} ({place}): should hold one line, the secret itself")
        return ""
    return text


def _read_dotenv(path: Path, problems: list[str]) -> dict[str, str]:
    try:
        if not path.is_file():
            return {}
        with path.open(encoding="utf-8-sig") as file:
            lines = list(parse_stream(file))
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{path}: cannot be read: {error}")
        return {}
    problems += [
        f"{path} line {each.original.line}: not NAME=value" for each in lines if each.error
    ]
    good = StringIO("".join(each.original.string for each in lines if not each.error))
    return {name: value or "" for name, value in dotenv_values(stream=good).items()}


def _read_toml(path: Path, problems: list[str]) -> dict[str, Any]:
    try:
        if not path.is_file():
            return {}
        return tomllib.loads(path.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{path}: cannot be read: {error}")
    except tomllib.TOMLDecodeError as error:
        problems.append(f"{path}: not TOML: {error}; texts stand in quotes")
    return {}
