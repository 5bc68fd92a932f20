"""Schedules have the published values at the steps where these are known."""

import pytest

from equicoherence.methods.schedules import cosine, warmup_linear


@pytest.mark.parametrize(("step", "value"), [(0, 0.04), (15, 0.055), (30, 0.07), (31, 0.07), (900, 0.07)])
def test_linear_warm_up_of_the_teacher_temperature(step, value):
    assert warmup_linear(0.04, 0.07, step, 30) == pytest.approx(value)


def test_without_warm_up_the_end_is_there_at_once():
    assert warmup_linear(0.04, 0.07, 0, 0) == 0.07


@pytest.mark.parametrize(
    ("step", "value"), [(0, 0.996), (25, 0.996 + 0.004 * 0.14644661), (50, 0.998), (100, 1.0), (120, 1.0)]
)
def test_cosine_of_the_teacher_momentum(step, value):
    assert cosine(0.996, 1.0, step, 100) == pytest.approx(value, abs=1e-9)


def test_cosine_also_falls():
    assert cosine(2.0, 0.0, 1, 2) == pytest.approx(1.0)
