"""Which groups of this system hold this process and no other user.

A mounted volume often belongs to root and to a group given to one container (`fsGroup` in
Kubernetes): what such a group may write, only this process and root may. Pure, but for `Accounts`.
"""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass, field

ROOT = 0


@dataclass(frozen=True, slots=True)
class Accounts:
    """What decides whose a group is: the identity of the process and the accounts of the system."""

    uid: int
    gids: frozenset[int]
    """The groups of this process, the primary one included."""
    users: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """User id and primary group, by the user's name."""
    groups: Mapping[int, frozenset[str]] = field(default_factory=dict)
    """The names of further members, by the group's id."""
    unlisted: frozenset[int] = frozenset()
    """Groups with a name that no list holds: a directory knows them and does not list members."""

    @classmethod
    def of_process(cls) -> Accounts:
        """Those of this process, now."""
        users = {each.pw_name: (each.pw_uid, each.pw_gid) for each in pwd.getpwall()}
        groups = {each.gr_gid: frozenset(each.gr_mem) for each in grp.getgrall()}
        gids = frozenset((os.getegid(), *os.getgroups()))
        unlisted = frozenset(gid for gid in gids - groups.keys() if _has_name(gid))
        return cls(os.geteuid(), gids, users, groups, unlisted)

    def is_only_ours(self, gid: int) -> bool:
        """Whether this process is in that group and no other user is, root aside."""
        if gid not in self.gids or gid in self.unlisted:
            return False
        primary = {uid for uid, group in self.users.values() if group == gid}
        further = {self.users.get(name, (None, gid))[0] for name in self.groups.get(gid, ())}
        return primary | further <= {self.uid, ROOT}


def gid_of(group: str) -> int | None:
    """The id of a group given by name or number; None for a name that no group has."""
    if group.isascii() and group.isdecimal():
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        return None


def _has_name(gid: int) -> bool:
    try:
        grp.getgrgid(gid)
    except KeyError:
        return False
    return True
