"""The database from the command line: results on stdout, progress beside it, codes that say it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.store.sqlite.store import open_sqlite
from tests.support.database import fresh_url
from tests.unit.gateway.cli.shell import Shell


@pytest.fixture
async def database(shell: Shell) -> Path:
    """What a gateway has left in the shell's home."""
    shell.home.mkdir()
    path = shell.home / "turngate.db"
    store = await open_sqlite(path)
    await store.close()
    return path


@pytest.mark.timeout(60)  # four commands, each a process
def test_the_database_is_checked_saved_and_put_back(shell: Shell, database: Path) -> None:
    """As the page on operations tells it."""
    assert json.loads(shell.run("store", "check", "--json").stdout)["problems"] == []
    done = shell.run("store", "backup", "copy.db", "--json")
    assert json.loads(done.stdout)["checked"] is True
    assert "pages" in done.stderr
    done = shell.run("store", "restore", "copy.db", "--json")
    assert json.loads(done.stdout)["former"].endswith(".before-restore-1")
    assert "again" in done.stderr
    found = json.loads(shell.run("store", "migrate", "--json").stdout)
    assert found["before"] == found["after"]


@pytest.mark.timeout(30)  # a process
def test_a_damaged_database_ends_the_check_with_one(shell: Shell, database: Path) -> None:
    """The problems are on stdout, and in the sentence."""
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript("UPDATE log_head SET seq = 7")
    done = shell.run("store", "check", "--json")
    assert done.returncode == 1
    assert len(json.loads(done.stdout)["problems"]) == 1
    assert "the log has a hole" in done.stderr


@pytest.mark.timeout(30)  # two processes
def test_what_is_no_file_has_no_upkeep_here(shell: Shell) -> None:
    """Memory leaves nothing; PostgreSQL has tools of its own for copies."""
    for value, word in ((":memory:", "nothing to keep"), ("postgresql://h/d", "pg_dump")):
        done = shell.run("store", "backup", "copy.db", TURNGATE_STORE=value)
        assert done.returncode == 78
        assert word in done.stderr


@pytest.mark.postgres
@pytest.mark.timeout(60)  # a server and two processes
async def test_postgresql_is_migrated_and_checked(shell: Shell) -> None:
    url = await fresh_url()
    found = json.loads(shell.run("store", "migrate", "--json", TURNGATE_STORE=url).stdout)
    assert (found["before"], found["checked"]) == (0, True)
    found = json.loads(shell.run("store", "check", "--json", TURNGATE_STORE=url).stdout)
    assert (found["problems"], found["rows"]["runs"]) == ([], 0)
