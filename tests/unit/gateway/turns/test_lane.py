"""What a lane knows: no store, no loop."""

from __future__ import annotations

from gateway.turns.backlog import Backlog
from gateway.turns.lane import Lane
from tests.unit.gateway.turns.rows import row


def test_a_new_lane_has_nothing_to_do() -> None:
    """And may be forgotten."""
    lane = Lane("s", Backlog())
    assert lane.idle()
    assert not lane.ready()


def test_what_waits_makes_a_lane_ready_unless_a_turn_holds_it() -> None:
    """One turn at a time per conversation."""
    lane = Lane("s", Backlog())
    lane.put(row(1))
    assert lane.ready()
    lane.turn_id = "t_9"
    assert not lane.ready()
    lane.release()
    assert lane.ready()


def test_a_held_lane_is_kept_although_nothing_waits() -> None:
    """A parked turn comes back to it."""
    lane = Lane("s", Backlog(), turn_id="t_9")
    assert not lane.idle()
    assert not lane.ready()


def test_a_lost_turn_is_looked_after() -> None:
    """Until it is released, which ends both."""
    lane = Lane("s", Backlog(), turn_id="t_9", orphaned=True)
    assert lane.ready()
    lane.release()
    assert not lane.ready()
    assert lane.idle()


def test_a_working_lane_is_not_forgotten() -> None:
    """Its task would go on without it."""
    assert not Lane("s", Backlog(), working=True).idle()


def test_what_is_taken_out_is_forgotten_and_the_rest_keeps_its_order() -> None:
    """Ids that are not there change nothing."""
    lane = Lane("s", Backlog())
    for number in range(5):
        lane.put(row(number))
    lane.take_out(["t_1", "t_3", "t_9"])
    assert [waiting.ordinal for waiting in lane.queued] == [0, 2, 4]


def test_what_is_queued_counts_in_the_backlog_until_it_is_taken_out() -> None:
    """One that is there already counts once."""
    backlog = Backlog()
    lane = Lane("s", backlog)
    lane.put(row(1))
    lane.put(row(1))
    (_, once) = backlog.bounds()
    lane.put(row(2))
    lane.take_out(["t_2"])
    assert (backlog.bounds()[1], once.used > 1000) == (once, True)
    assert lane.waits_as == (row(1).principal, row(1).agent_id, row(1).source)
    lane.take_out(["t_1"])
    assert backlog.bounds()[1].used == len(lane.waits_as) == 0
