import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from equicoherence.data.poses.latents import (
    FLOOR_HUE,
    LIGHT_HUE,
    change_names,
    inverse,
    multiply,
    pose_change,
    quaternion,
    relative_rotation,
    upright,
)
from equicoherence.evaluation.poses.renders import view_changes
from equicoherence.rendering import latent

angle = st.floats(-math.pi, math.pi)
angles = st.tuples(angle, angle, angle).map(lambda values: torch.tensor(values, dtype=torch.float64))


def matrix_of(rotation: Tensor) -> Tensor:
    """Turn the three unit vectors by q v q^-1."""
    vectors = torch.cat([torch.eye(3), torch.zeros(3, 1)], dim=1).to(rotation)
    turned = multiply(multiply(rotation.expand(3, 4), vectors), inverse(rotation).expand(3, 4))
    return turned[:, :3].T


def rotation_matrix(rotation: Tensor) -> Tensor:
    """Return the matrix by which the renderer turns an object by these angles."""
    return torch.from_numpy(latent.rotation_matrix(rotation.numpy()))


def test_angles_turn_about_fixed_axes_x_first():
    quarter = torch.tensor(math.pi / 2)
    x, y = torch.tensor([1.0, 0, 0]), torch.tensor([0, 1.0, 0])
    about_x_then_z = matrix_of(quaternion(torch.tensor([quarter, 0, quarter])))
    assert torch.allclose(about_x_then_z @ y, torch.tensor([0.0, 0, 1]), atol=1e-6)  # y to z, which z leaves alone
    assert torch.allclose(about_x_then_z @ x, torch.tensor([0.0, 1, 0]), atol=1e-6)


def test_quaternions_are_those_of_scipy_and_of_the_renderer():
    rotation = pytest.importorskip("scipy.spatial.transform").Rotation
    drawn = np.random.default_rng(0).uniform(-np.pi / 2, np.pi / 2, (200, 3))
    expected = rotation.from_euler("xyz", drawn)
    ours = torch.from_numpy(drawn)
    assert np.allclose(quaternion(ours), [latent.quaternion(angles) for angles in drawn])
    signs = np.sign((quaternion(ours).numpy() * expected.as_quat()).sum(axis=1, keepdims=True))
    assert np.allclose(quaternion(ours).numpy() * signs, expected.as_quat())
    relative = (expected[:100].inv() * expected[100:]).as_quat()
    assert np.allclose(relative_rotation(quaternion(ours[:100]), quaternion(ours[100:])).numpy(), relative)


@settings(deadline=None)
@given(first=angles, second=angles)
def test_quaternions_multiply_and_invert_as_matrices_do(first, second):
    p, q = quaternion(first), quaternion(second)
    assert torch.allclose(matrix_of(p), rotation_matrix(first), atol=1e-12)
    assert torch.allclose(matrix_of(multiply(p, q)), rotation_matrix(first) @ rotation_matrix(second), atol=1e-12)
    assert torch.allclose(matrix_of(inverse(p)), rotation_matrix(first).T, atol=1e-12)


@settings(deadline=None)
@given(first=angles, second=angles)
def test_the_relative_rotation_leads_from_the_first_to_the_second_and_back_is_its_inverse(first, second):
    p, q = quaternion(first), quaternion(second)
    relative, back = relative_rotation(p, q), relative_rotation(q, p)
    assert torch.allclose(rotation_matrix(first) @ matrix_of(relative), rotation_matrix(second), atol=1e-12)
    assert torch.allclose(matrix_of(relative) @ matrix_of(back), torch.eye(3, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(relative_rotation(-p, q).abs(), relative.abs(), atol=1e-12)


def test_a_pose_change_is_a_rotation_and_plain_differences_of_the_hues():
    first = torch.tensor([[0.0, 0, 0, 0.95, 0.1, 3.0, 0.2]])
    second = torch.tensor([[0.0, 0, math.pi / 2, 0.05, 0.7, 1.0, 0.9]])
    half = math.sqrt(0.5)
    expected = torch.tensor([[0, 0, half, half, -0.9, 0.7]])  # -.9, though .1 is the shorter way round the circle
    assert torch.allclose(pose_change(first, second), expected)
    assert change_names(7) == ("rotation_x", "rotation_y", "rotation_z", "rotation_w", "floor_hue", "light_hue")


def test_latents_of_ten_numbers_add_the_difference_of_translations():
    first, second = torch.zeros(2, 10), torch.arange(20.0).view(2, 10)
    change = pose_change(first, second)
    assert change.shape == (2, 9) == (2, len(change_names(10)))
    assert change[:, 4:].tolist() == [[3, 6, 7, 8, 9], [13, 16, 17, 18, 19]]


def test_latents_of_another_width_are_quoted():
    with pytest.raises(ValueError, match=r"7 numbers, or 10 .*got 8"):
        pose_change(torch.zeros(1, 8), torch.zeros(1, 8))


def test_poses_of_any_angle_change_in_training_as_they_do_in_evaluation():
    generator = torch.Generator().manual_seed(0)
    latents = torch.rand(40, 2, 7, generator=generator)
    latents[..., :3] = (2 * latents[..., :3] - 1) * math.pi
    trained = pose_change(latents[:, 0], latents[:, 1])
    rotations = upright(quaternion(latents[..., :3]))
    hues = latents[..., [FLOOR_HUE, LIGHT_HUE]]
    assert torch.allclose(trained, view_changes(rotations, hues, 1)[:, 0, 1], atol=1e-6)
