"""SER's term is the paper's, token by token, on tokens that are put back where the image's symmetry moved them."""

import dataclasses
import math

import pytest
import torch

from equicoherence.methods.mocov3 import MoCoV3
from equicoherence.methods.ser import SER, SERConfig, token_loss
from equicoherence.paths.symmetries import show_symmetries
from tests.encoded import NoWaiting, assert_trains, encoded, mixed
from tests.parity import assert_agree, leaves


def _slow(z, positive, temperature):
    """The published formula, token by token."""

    def s(a, b):
        return a @ b / (a.norm() * b.norm()) / temperature

    losses = []
    for i in range(len(z)):
        for j in range(z.shape[1]):
            own = s(z[i, j], positive[i, j]).exp()
            others = [
                s(z[i, j], rows[m, n]).exp()
                for rows in (z, positive)
                for m in range(len(z))
                if m != i
                for n in range(z.shape[1])
            ]
            losses.append(-torch.log(own / (own + sum(others))))
    return torch.stack(losses).mean()


@pytest.mark.parametrize("temperature", [0.3, 1.0])
def test_agrees_with_the_formula_token_by_token(temperature):
    z, positive = leaves((3, 4, 5), (3, 4, 5))
    assert_agree(token_loss(z, positive, temperature), _slow(z, positive, temperature), [z, positive])


def test_of_tokens_that_all_look_the_same_it_is_chance():
    same = torch.ones(3, 4, 5)
    assert token_loss(same, same, 0.3).item() == pytest.approx(math.log(1 + 2 * 2 * 4))


def test_other_tokens_of_the_same_image_are_no_negatives():
    z, positive = leaves((1, 4, 5), (1, 4, 5))
    assert token_loss(z, positive, 0.3).abs() < 1e-12


def _method(**changes):
    torch.manual_seed(0)
    return SER(8, SERConfig(width=16, output=6, hidden=7, **changes), layer_width=5)


def test_undoing_both_symmetries_is_applying_the_relative_one():
    """The paper moves the tokens of one view as g2 g1^-1 does; which frame they are compared in changes nothing."""
    method, generator = _method(), torch.Generator().manual_seed(3)
    upright = [torch.randn(6, 5, 4, 4, generator=generator) for _ in range(4)]
    numbers = torch.stack([torch.randint(8, (6,), generator=generator) for _ in range(2)])
    shown = [show_symmetries(maps, numbers[view % 2]).flatten(2).transpose(1, 2) for view, maps in enumerate(upright)]
    student = dataclasses.replace(encoded(batch=6), layer=torch.stack(shown[:2]), symmetries=numbers)
    teacher = dataclasses.replace(encoded(batch=6, seed=1), layer=torch.stack(shown[2:]))
    found = method(student, teacher)["equivariance"]

    def in_frame(maps, which):
        return method.head(show_symmetries(maps, which).flatten(2).transpose(1, 2))

    expected = [
        token_loss(in_frame(upright[view], numbers[view]), in_frame(upright[3 - view], numbers[view]), 0.3)
        for view in (0, 1)
    ]
    assert abs(found - sum(expected) / 2) < 1e-6


@pytest.mark.parametrize("half", [False, True])
def test_both_terms_weigh_as_published_and_the_images_that_are_shown_upright_have_the_first_alone(half):
    method, student, teacher = _method(weight=0.7), encoded(), encoded(seed=1)
    student = dataclasses.replace(student, symmetries=torch.zeros(2, 3, dtype=torch.long))
    with mixed(half):
        losses, expected = method(student, teacher), MoCoV3.forward(method, student, teacher)
        own, key = ([method.head(view[:3]).float() for view in each.layer] for each in (student, teacher))
    assert losses.keys() == {"contrastive", "equivariance"}
    assert abs(losses["contrastive"] - expected["contrastive"]) < 1e-6
    both = _slow(own[0], key[1], 0.3) + _slow(own[1], key[0], 0.3)
    assert abs(losses["equivariance"] - 0.7 * both / 2) < 1e-5


def test_settings_are_the_published_ones():
    config = SERConfig()
    assert (config.layer, config.share, config.weight, config.hidden) == (2, 0.01, 1.0, 512)
    assert (config.equivariance_temperature, config.temperature) == (0.3, 0.2)


def test_the_method_trains_all_it_has():
    assert_trains(_method(), encoded(), encoded(seed=1))


def test_it_never_waits_for_the_device():
    with NoWaiting():
        _method()(encoded(), encoded(seed=1))


@pytest.mark.parametrize("share", [0, 1.5])
def test_a_share_out_of_its_range_is_quoted(share):
    with pytest.raises(ValueError, match=rf"method\.share must lie in \(0, 1\], got {share}"):
        SERConfig(share=share)


def test_views_without_symmetries_are_refused():
    with pytest.raises(ValueError, match="SER needs tokens of a layer, and the symmetries"):
        _method()(dataclasses.replace(encoded(), symmetries=None), encoded())
