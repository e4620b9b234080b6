"""What may be sent together: nothing is moved over what might touch the same rows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.store.base.catalog import Op
from gateway.store.postgres.order import OF_ONE_RUN, Placed, together
from tests.support.store_units import a_begin, a_run, a_run_end, a_session

_OPS = st.one_of(
    st.sampled_from([a_run, a_begin, a_run_end]).flatmap(
        lambda make: st.sampled_from("abc").map(lambda run_id: make(run_id=run_id))
    ),
    st.just(a_session()),
)


@given(st.lists(st.lists(_OPS, max_size=4), max_size=12))
def test_each_run_keeps_its_order_and_everything_its_order_to_the_rest(
    units: list[list[Op]],
) -> None:
    """Our decision: only operations on different runs change places."""
    sent = [placed for group in together(units) for placed in group]
    given_ = [
        Placed(unit, index, op) for unit, ops in enumerate(units) for index, op in enumerate(ops)
    ]
    assert sorted(placed[:2] for placed in sent) == [placed[:2] for placed in given_]
    for run_id in "abc":

        def of_run(placed: Placed, run_id: str = run_id) -> bool:
            return getattr(placed.op, "run_id", run_id) == run_id

        assert list(filter(of_run, sent)) == list(filter(of_run, given_))


@given(st.lists(st.lists(_OPS, max_size=4), max_size=12))
def test_a_group_has_one_kind(units: list[list[Op]]) -> None:
    """So one prepared statement does for all of it."""
    for group in together(units):
        assert len({type(placed.op) for placed in group}) == 1
        if len(group) > 1:
            assert type(group[0].op) in OF_ONE_RUN


def test_what_many_runs_do_alike_goes_out_together() -> None:
    """Sixteen runs a step further are one group, not sixteen."""
    units = [[a_begin(run_id=f"r{n}")] for n in range(16)]
    assert [len(group) for group in together(units)] == [16]
