"""The bounds hold together."""

import pytest

from gateway.http.bounds import KIB, MAX_FRAME_BYTES, MIB, Bounds, Limits, Sizes


def test_the_defaults_are_those_of_the_design() -> None:
    sizes, deadlines = Bounds().sizes, Bounds().deadlines
    assert (sizes.stranger_frame, sizes.frame) == (64 * KIB, MIB)
    assert (sizes.queue_frames, sizes.queue_bytes) == (256, 4 * MIB)
    assert (deadlines.head_s, deadlines.ping_s, deadlines.progress_s) == (10, 20, 10)


@pytest.mark.parametrize("frame", [0, 64 * KIB - 1, MAX_FRAME_BYTES + 1])
def test_a_frame_setting_outside_of_its_bounds_is_refused(frame: int) -> None:
    with pytest.raises(ValueError, match=f"got {frame}"):
        Sizes(frame=frame)


@pytest.mark.parametrize("frame", [64 * KIB, MIB, MAX_FRAME_BYTES])
def test_a_frame_setting_within_its_bounds_is_taken(frame: int) -> None:
    assert Sizes(frame=frame).frame == frame


def test_what_a_credential_may_hold_grows_with_the_deployment() -> None:
    assert Limits.of(1024) == Limits()
    assert Limits.of(4096) == Limits(4096, 2048, 1024, 1024)
    assert (Sizes().waiting_per_principal, Sizes(waiting=64 * MIB).waiting_per_principal) == (
        16 * MIB,
        8 * MIB,
    )
