"""The seven numbers: rotations agree with scipy, and paths go the shorter way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equicoherence.rendering.latent import (
    angles_of,
    draw_latent,
    interpolate,
    quaternion,
    rotation_matrix,
    slerp,
)

spatial = pytest.importorskip("scipy.spatial.transform")
ANGLES = np.random.default_rng(0).uniform(-np.pi, np.pi, (50, 3))
angle = st.floats(-np.pi, np.pi)
rotations = st.tuples(angle, angle, angle).map(lambda angles: quaternion(np.array(angles)))


def turn_between(first: np.ndarray, second: np.ndarray) -> float:
    """Return the angle of the rotation from one quaternion to the other, in [0, pi]."""
    apart = [np.linalg.norm(first - second), np.linalg.norm(first + second)]
    return 4 * np.arctan2(min(apart), max(apart))


@pytest.mark.parametrize("angles", ANGLES[:10])
def test_rotation_matrix_is_extrinsic_xyz(angles: np.ndarray) -> None:
    expected = spatial.Rotation.from_euler("xyz", angles)
    np.testing.assert_allclose(rotation_matrix(angles), expected.as_matrix(), atol=1e-12)
    assert abs(quaternion(angles) @ expected.as_quat()) == pytest.approx(1)


@pytest.mark.parametrize("angles", [*ANGLES, [0.3, np.pi / 2, 0.5], [0.3, -np.pi / 2, 0.5], [0, 0, 0]])
def test_angles_of_a_quaternion_give_the_same_rotation(angles: np.ndarray) -> None:
    angles = np.asarray(angles, dtype=float)
    again = angles_of(quaternion(angles))
    np.testing.assert_allclose(rotation_matrix(again), rotation_matrix(angles), atol=1e-7)


@pytest.mark.parametrize("t", [0.0, 0.25, 0.5, 1.0])
def test_slerp_agrees_with_scipy(t: float) -> None:
    for first, second in zip(ANGLES[:20], ANGLES[20:40]):
        both = spatial.Rotation.from_euler("xyz", [first, second])
        expected = spatial.Slerp([0, 1], both)(t).as_matrix()
        found = rotation_matrix(angles_of(slerp(quaternion(first), quaternion(second), t)))
        np.testing.assert_allclose(found, expected, atol=1e-7)


@settings(deadline=None)
@given(first=rotations, second=rotations, t=st.floats(0, 1))
def test_slerp_takes_the_shorter_turn_at_constant_speed(first: np.ndarray, second: np.ndarray, t: float) -> None:
    between, whole = slerp(first, second, t), turn_between(first, second)
    assert whole <= np.pi + 1e-12
    assert np.linalg.norm(between) == pytest.approx(1)
    assert turn_between(first, between) == pytest.approx(t * whole, abs=1e-7)
    assert turn_between(between, second) == pytest.approx((1 - t) * whole, abs=1e-7)


@pytest.mark.parametrize("whole", [1.2, 1e-5, 1e-8, 0.0])
def test_slerp_is_exact_for_large_and_small_turns(whole: float) -> None:
    first, second = quaternion(np.zeros(3)), quaternion(np.array([0, 0, whole]))
    for t in (0, 0.25, 1):
        between = slerp(first, second, t)
        assert 2 * np.arctan2(between[2], between[3]) == pytest.approx(t * whole, rel=1e-6, abs=2e-8)
    np.testing.assert_array_equal(slerp(first, first, 0.3), first)


def test_the_middle_of_a_path_is_as_far_from_both_ends() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        a, b = draw_latent(rng), draw_latent(rng)
        middle = interpolate(a, b, 0.5)
        turns = [abs(quaternion(end[:3]) @ quaternion(middle[:3])) for end in (a, b)]
        assert turns[0] == pytest.approx(turns[1])
        assert 2 * np.arccos(turns[0]) <= np.pi / 2 + 1e-9  # half of at most half a turn


def test_hues_go_the_shorter_way_round() -> None:
    a, b = np.zeros(7), np.zeros(7)
    a[3], b[3] = 0.9, 0.2
    a[5], b[5] = 0.1, 2 * np.pi - 0.3
    a[6], b[6] = 0.2, 0.4
    middle = interpolate(a, b, 0.5)
    assert middle[3] == pytest.approx(0.05)
    assert middle[5] == pytest.approx(2 * np.pi - 0.1)
    assert middle[6] == pytest.approx(0.3)


def test_the_ends_of_a_path_are_its_views() -> None:
    a, b = draw_latent(np.random.default_rng(2)), draw_latent(np.random.default_rng(3))
    np.testing.assert_allclose(interpolate(a, b, 0), a, atol=1e-9)
    np.testing.assert_allclose(interpolate(a, b, 1), b, atol=1e-9)


def test_drawn_latents_fill_their_ranges() -> None:
    drawn = np.stack([draw_latent(np.random.default_rng(i)) for i in range(2000)])
    low = [-np.pi / 2] * 3 + [0, 0, 0, 0]
    high = [np.pi / 2] * 3 + [1, np.pi / 4, 2 * np.pi, 1]
    np.testing.assert_allclose(drawn.min(0), low, atol=0.01)
    np.testing.assert_allclose(drawn.max(0), high, atol=0.01)
