"""Which addresses a secret may be sent to: those of its own source, or of a more trusted one.

Options and the environment are the user's own. `.env` and `turngate.toml` belong to the folder
turngate is started in, which may be a repository that was cloned: their addresses, proxies and
certificate authorities get to the secrets of that folder and no others. Owners and modes are no
help there, because files that were cloned or unpacked belong to the user. On a shared machine they
are: a file that another user may write sets nothing that runs code or lets callers in. Pure.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from gateway.settings import words
from gateway.settings.sources import DOTENV, TOML, Given

_KEY = "llm_api_key"
_ADDRESS = "llm_base_url"
_PROXY = "llm_proxy"
_AUTHORITY = "llm_ca_file"
_GRANTING = {
    "turngate_tasks": "runs code as you",
    "turngate_token": "lets its holder in",
    "turngate_store": "names a database whose tokens are accepted",
}
"""Settings that another user of the machine must not make, and what each does."""
POSTGRES_PASSWORD = "PGPASSWORD"
"""What a client of PostgreSQL sends where its address has no password."""


def is_of_folder(given: Given, folder: Path) -> bool:
    """Whether a setting came with the folder.

    A secret that `.env` reads from a file elsewhere did not: any file the user may read could be
    named there.
    """
    if given.place not in (DOTENV, TOML):
        return False
    return given.file is None or _lies_in(folder / given.file, folder)


def of_folder(given: Mapping[str, Given], folder: Path) -> frozenset[str]:
    """The settings that came with the folder."""
    return frozenset(name for name, each in given.items() if is_of_folder(each, folder))


def misdirected_keys(given: Mapping[str, Given], folder: Path) -> dict[str, str]:
    """Settings of the folder that decide who receives a key from outside, each with that key."""
    local = of_folder(given, folder)
    found: dict[str, str] = {}
    for name in given:
        if name != _KEY and not name.startswith(f"{_KEY}_"):
            continue
        for kind in (_ADDRESS, _PROXY, _AUTHORITY):
            own = kind + name.removeprefix(_KEY)
            address = own if own in given else kind
            if name not in local and address in local:
                found.setdefault(address, name)
    return found


def planted(
    given: Mapping[str, Given], is_written_by_others: Callable[[str], bool]
) -> dict[str, str]:
    """What is wrong with settings of a file that other users may write, by the setting's name."""
    found: dict[str, str] = {}
    for name, does in _GRANTING.items():
        each = given.get(name)
        if each is not None and each.place in (DOTENV, TOML) and is_written_by_others(each.place):
            found[name] = (
                f"this setting {does}, and another user of this machine may write to {each.place}. "
                f"If you trust that, set {each.name.upper()} in the environment as well; else make "
                f"the file yours: chown {os.geteuid()} {each.place} && chmod go-w {each.place}"
            )
    return found


def refusal(address: Given, secret: Given) -> str:
    """What is wrong when that address would receive that secret, with the fix."""
    place = address.place
    value = words.masked(address.value)
    moved = f"move {secret.name} to .env of this folder"
    if secret.file is not None and secret.place == DOTENV:
        moved = f"keep the file of {secret.name} in this folder"
    where, which = "there", "address"
    if address.name.lower() == _AUTHORITY:
        where, which = "to servers that it vouches for", "authority"
    return (
        f"{secret.name} ({secret.place}) would be sent {where}, but that {which} comes from "
        f"{place} of this folder and the secret does not. If you trust it, set "
        f"{address.name.upper()}={value} in the environment as well, or {moved}"
    )


def password_refusal(store: Given, environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The same for a PostgreSQL address without a password, by the setting's name, if any."""
    from_environment = environ.get(POSTGRES_PASSWORD, "").strip()
    if not from_environment or not is_of_folder(store, folder):
        return {}
    said = (
        f"{POSTGRES_PASSWORD} (environment) would be sent there, but that address comes from "
        f"{store.place} of this folder. If you trust it, set TURNGATE_STORE in the environment as "
        f"well, or unset {POSTGRES_PASSWORD}"
    )
    return {"turngate_store": said}


def _lies_in(path: Path, folder: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
