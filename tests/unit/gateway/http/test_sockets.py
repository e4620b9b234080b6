"""What the protocols share, and how many files the process may open."""

import resource

import pytest

from gateway.http.sockets import SPARE_FILES, raise_file_limit


@pytest.fixture
def limit() -> object:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_limit_of_open_files_is_raised_to_what_may_be_needed(limit: object) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    raise_file_limit(500)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (500 + SPARE_FILES, hard)


def test_a_limit_that_is_high_enough_stays(limit: object) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    raise_file_limit(1)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before


def test_what_the_system_does_not_allow_is_not_forced(limit: object) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    raise_file_limit(hard + 1)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
