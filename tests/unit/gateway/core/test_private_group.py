"""Whose a group is, by the accounts of a system."""

from __future__ import annotations

import os

import pytest

from gateway.core.private_group import Accounts, gid_of

OURS = 2000
USERS = {"root": (0, 0), "me": (1000, 1000), "alice": (1001, 1001)}


def accounts(
    *, users: dict[str, tuple[int, int]] | None = None, members: frozenset[str] = frozenset()
) -> Accounts:
    return Accounts(
        uid=1000,
        gids=frozenset((1000, OURS)),
        users=USERS | (users or {}),
        groups={1000: frozenset(), OURS: members},
    )


@pytest.mark.parametrize("members", [(), ("me",), ("me", "root")])
def test_a_group_without_another_user_is_only_ours(members: tuple[str, ...]) -> None:
    """Root may do everything anyway."""
    assert accounts(members=frozenset(members)).is_only_ours(OURS)


def test_a_group_that_no_account_database_knows_is_only_ours() -> None:
    """A container gets the number of a group, and its image has no name for it."""
    assert Accounts(uid=10_001, gids=frozenset((0, OURS))).is_only_ours(OURS)


def test_a_group_of_another_process_is_not_ours() -> None:
    assert not accounts().is_only_ours(1001)


@pytest.mark.parametrize("members", [("alice",), ("me", "alice"), ("no-account-of-that-name",)])
def test_a_further_member_shares_the_group(members: tuple[str, ...]) -> None:
    """A member without an account may get one."""
    assert not accounts(members=frozenset(members)).is_only_ours(OURS)


def test_a_user_whose_primary_group_it_is_shares_it() -> None:
    """No list of members names such a user."""
    assert not accounts(users={"bob": (1002, OURS)}).is_only_ours(OURS)


def test_a_group_of_a_directory_that_lists_no_members_is_not_ours() -> None:
    """Every user of a company may be in "domain users"."""
    found = Accounts(uid=1000, gids=frozenset((OURS,)), unlisted=frozenset((OURS,)))
    assert not found.is_only_ours(OURS)


def test_the_accounts_of_this_process_are_read() -> None:
    found = Accounts.of_process()
    assert found.uid == os.geteuid()
    assert os.getegid() in found.gids


def test_a_group_is_named_or_numbered() -> None:
    assert gid_of("2000") == 2000
    assert gid_of("root") == 0
    assert gid_of("no-group-of-that-name") is None
