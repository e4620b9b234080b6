"""The line in front of a profile, by hand."""

from __future__ import annotations

from agents.resilience.line import EXACT, RAISE_AFTER, UNBOUNDED, Line, Ticket


def line_of(cap: int) -> Line:
    line = Line()
    line.cap = cap
    return line


def person(name: str, session: str = "s") -> Ticket:
    return Ticket((name, session))


def test_without_a_bound_nothing_waits() -> None:
    line = line_of(0)
    assert all(line.enter(person(f"p{number}")) for number in range(100))
    assert line.has_room


def test_ten_at_one_slot_are_sent_in_the_order_they_came_and_know_their_place() -> None:
    line = line_of(1)
    tickets = [person(f"p{number}") for number in range(10)]
    assert [line.enter(one) for one in tickets] == [True, *[False] * 9]
    assert [one.place for one in tickets] == [0, *range(1, 10)]
    for number, ticket in enumerate(tickets):
        assert (ticket.place, line.active) == (0, 1)
        line.leave(ticket)
        assert [one.place for one in tickets[number + 1 :]] == list(range(9 - number))
    assert (line.active, line.has_room) == (0, True)


def test_a_long_line_tells_few_places_and_none_that_is_far_off() -> None:
    line, told, many = line_of(1), list[int](), 500
    tickets = [person(f"p{number}") for number in range(many + 1)]
    for ticket in tickets:
        ticket.changed = lambda ticket=ticket: told.append(ticket.place)  # type: ignore[misc]
        line.enter(ticket)
    assert [one.place for one in tickets] == list(range(many + 1))
    assert told == list(range(1, many + 1)), "a request that comes moves none before it"
    told.clear()
    for number, ticket in enumerate(tickets):
        line.leave(ticket)
        for place, behind in enumerate(tickets[number + 2 :], 1):
            assert 0 <= behind.place - place <= (line.waiting / EXACT if place > EXACT else 0)
    assert len(told) <= (2 * EXACT + 1) * many
    assert told.count(0) == many


def test_a_long_line_of_background_work_hears_of_people_that_came() -> None:
    line = line_of(1)
    line.enter(person("first"))
    jobs = [Ticket(("job",), background=True) for _ in range(EXACT)]
    for job in jobs:
        line.enter(job)
    for number in range(10 * EXACT):
        line.enter(person(f"p{number}"))
    assert jobs[0].place > 9 * EXACT


def test_one_with_many_requests_does_not_hold_up_another() -> None:
    line = line_of(1)
    many = [person("busy", f"s{number}") for number in range(4)]
    for ticket in many:
        line.enter(ticket)
    late = person("late")
    line.enter(late)
    line.leave(many[0])
    line.leave(many[1])
    assert (late.place, line.active) == (0, 1), "at most one of each other is sent before"


def test_people_come_before_background_work() -> None:
    line = line_of(1)
    first, job, late = person("a"), Ticket(("job",), background=True), person("b")
    for ticket in (first, job, late):
        line.enter(ticket)
    assert (late.place, job.place) == (1, 2)
    line.leave(first)
    assert (late.place, job.place) == (0, 1)


def test_who_stops_waiting_gives_its_place_to_those_behind() -> None:
    line = line_of(1)
    told: list[int] = []
    first, second, third = person("a"), person("b"), person("c")
    third.changed = lambda: told.append(third.place)
    for ticket in (first, second, third):
        line.enter(ticket)
    line.leave(second)
    line.leave(first)
    assert told == [2, 1, 0]
    line.leave(third)
    assert line.active == 0


def test_pressure_halves_what_is_sent_and_answers_raise_it_again() -> None:
    line = line_of(0)
    tickets = [person(f"p{number}") for number in range(8)]
    for ticket in tickets:
        line.enter(ticket)
    line.pressed(began_ms=0, now_ms=100)
    assert line.bound == 4
    line.pressed(began_ms=50, now_ms=110)
    assert line.bound == 4, "failures of one moment count once"
    for ticket in tickets[:4]:
        line.leave(ticket)
    for _ in range(RAISE_AFTER):
        line.answered()
    assert line.bound == 5
    line.pressed(began_ms=200, now_ms=300)
    assert line.bound == 2


def test_one_request_alone_tells_nothing_of_how_many_at_a_time() -> None:
    line = line_of(0)
    line.enter(person("a"))
    line.pressed(began_ms=0, now_ms=100)
    assert line.bound == 0


def test_an_own_bound_that_has_grown_large_is_forgotten() -> None:
    line = line_of(0)
    for number in range(2 * UNBOUNDED):
        line.enter(person(f"p{number}"))
    line.pressed(began_ms=0, now_ms=100)
    assert line.bound == UNBOUNDED
    for _ in range(RAISE_AFTER):
        line.answered()
    assert line.bound == 0
