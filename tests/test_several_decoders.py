"""Several decoders on one z_equi, each with its own targets and loss."""

import dataclasses

import pytest
import torch

from equicoherence.coherence import CoherenceConfig, CoherenceTask, CoherenceTasks
from equicoherence.paths import SE2, PathViews, augmentation
from equicoherence.recipes import recipe
from tests.host import FromTheHost

PLACES = (1 / 3, 2 / 3, 1.0)
COLUMNS = {"render": (0, 1), "cross-attention": (2,), "conv": (0, 1, 2)}


def _views(**settings):
    images = torch.randint(0, 256, (4, 3, 40, 40), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    augment = augmentation(blur=0)
    make = PathViews(augment, augment, SE2(), size=32, positions=PLACES, **settings)
    return make(images, torch.Generator().manual_seed(0))


def _tasks():
    torch.manual_seed(0)
    return {
        name: CoherenceTask(
            8, len(own), 32, (4, 4), decoder=name, orders="both" if name == "cross-attention" else "one"
        )
        for name, own in COLUMNS.items()
    }


def _tokens(count=4):
    torch.manual_seed(1)
    return torch.randn(count, 16, 8), torch.randn(count, 16, 8)


def test_the_loss_is_the_sum_of_each_decoders_for_its_own_targets():
    views, tasks = _views(), _tasks()
    z1, z2 = _tokens()
    output = CoherenceTasks(tasks, COLUMNS)(z1, z2, views)
    single = {}
    for name, own in COLUMNS.items():
        wanted = dataclasses.replace(views, targets=views.targets[:, own], positions=tuple(PLACES[i] for i in own))
        single[name] = tasks[name](z1, z2, wanted)
    assert {name: part.item() for name, part in output.parts.items()} == {k: v.loss.item() for k, v in single.items()}
    assert torch.allclose(output.loss, torch.stack([s.loss for s in single.values()]).sum())
    of_first = torch.cat([single["render"].decoded, single["cross-attention"].decoded], dim=1)
    assert torch.equal(output.decoded, of_first)


def test_a_decoder_without_targets_adds_nothing():
    z1, z2 = (z.requires_grad_() for z in _tokens())
    tasks = {"render": CoherenceTask(8, 0, 32, (4, 4)), "cross-attention": _tasks()["cross-attention"]}
    output = CoherenceTasks(tasks, {"render": (), "cross-attention": (2,)})(z1, z2, _views())
    assert output.parts["render"] == 0
    assert output.loss == output.parts["cross-attention"]
    output.loss.backward()


def test_several_decoders_send_no_constant():
    views, (z1, z2) = _views(), _tokens()
    tasks = CoherenceTasks({"conv": CoherenceTask(8, 2, 32, (4, 4))}, {"conv": (0, 2)})
    with FromTheHost() as made:
        tasks(z1, z2, views)
    assert made.count == 0


def test_tokens_of_more_samples_than_have_targets_are_refused():
    z1, z2 = _tokens()
    with pytest.raises(ValueError, match="share of the batch, the tokens must be of its first samples"):
        _tasks()["conv"](z1, z2, _views(share=0.5))


def test_with_a_share_only_the_first_samples_are_decoded():
    views = _views(share=0.5)
    z1, z2 = _tokens(2)
    output = CoherenceTasks(_tasks(), COLUMNS)(z1, z2, views)
    expected = CoherenceTasks(_tasks(), COLUMNS)(z1, z2, _views().first(2))
    assert output.decoded.shape == (2, 3, 3, 32, 32)
    assert torch.allclose(output.loss, expected.loss, rtol=1e-4)


@pytest.mark.parametrize(
    ("settings", "positions", "each"),
    [
        ({}, PLACES, {"render": (1 / 3, 2 / 3), "cross-attention": (1.0,)}),
        ({"targets": "intermediate"}, (1 / 3, 2 / 3), dict.fromkeys(("render", "cross-attention"), (1 / 3, 2 / 3))),
        ({"targets": "own,intermediate"}, (1 / 3, 2 / 3), dict.fromkeys(("render", "cross-attention"), (1 / 3, 2 / 3))),
        ({"targets": "intermediate,final"}, PLACES, {"render": (1 / 3, 2 / 3), "cross-attention": (1.0,)}),
        (
            {"targets": "cross-attention=intermediate,conv=final"},
            (1 / 3, 2 / 3),
            {"render": (1 / 3, 2 / 3), "cross-attention": (1 / 3, 2 / 3)},
        ),
        (
            {"targets": "base,intermediate+final", "states": 1},
            (0, 0.5, 1),
            {"render": (0,), "cross-attention": (0.5, 1)},
        ),
        ({"states": 0, "targets": "intermediate"}, (), {"render": (), "cross-attention": ()}),
        (
            {"decoder": "oracle+render+cross-attention", "targets": "own,final"},
            PLACES,
            {"render": (1 / 3, 2 / 3), "cross-attention": (1.0,)},
        ),
    ],
)
def test_each_decoder_has_its_targets_and_the_views_have_those_of_all(settings, positions, each):
    config = CoherenceConfig(**{"decoder": "render+cross-attention"} | settings)
    assert config.positions() == pytest.approx(positions)
    assert {name: pytest.approx(places) for name, places in config.positions_of().items()} == each


@pytest.mark.parametrize(
    ("settings", "quoted"),
    [
        ({"decoder": "render+draw"}, "decoder 'draw' is unknown"),
        ({"decoder": "render+"}, "decoder '' is unknown"),
        ({"decoder": "conv+conv"}, "names one decoder twice"),
        ({"decoder": "conv+oracle", "states": 0}, "the conv decoder of 'conv\\+oracle' has nothing to reconstruct"),
        (
            {"decoder": "render+oracle", "targets": "oracle=own"},
            "'oracle=own' name the oracle, which reconstructs nothing",
        ),
        (
            {"decoder": "oracle", "targets": "own,own"},
            "'oracle', which reconstructs nothing: leave coherence.targets out",
        ),
        ({"decoder": "oracle", "targets": "final"}, "reconstructs nothing: leave coherence.targets out, got 'final'"),
        ({"decoder": "oracle", "targets": "finl"}, "targets 'finl' is unknown; is it 'final'"),
        ({"decoder": "render+oracle", "targets": "own,final"}, "'own,final' are 2, but of .* 1 reconstruct"),
        (
            {"decoder": "render+conv", "targets": "final"},
            "render decoder starts from view 2.*one for each of render, conv",
        ),
        ({"decoder": "conv+render", "targets": "intermediate,final"}, "render decoder starts from view 2"),
        ({"decoder": "render+conv", "targets": "intermediate,middle"}, "targets 'middle' is unknown"),
        (
            {"decoder": "render+conv", "targets": "base,base,final"},
            "'base,base,final' are 3, but .* 2 reconstruct something",
        ),
        ({"targets": "conv=final,base"}, "'conv=final,base' names a decoder in some parts only"),
        ({"targets": "cnv=final"}, "decoder 'cnv' is unknown; is it 'conv'"),
        ({"targets": "conv=finl"}, "targets 'finl' is unknown; is it 'final'"),
        ({"targets": "conv=final,conv=base"}, "names the conv decoder twice"),
        ({"decoder": "conv+render", "targets": "render=final"}, "render decoder starts from view 2"),
        ({"decoder": "render+conv", "width": 30}, "width must be a multiple of 4, got 30"),
        (
            {"decoder": "render+cross-attention", "states": 0},
            "states is 0, so the render decoder of 'render.cross-attention' has nothing to reconstruct",
        ),
        ({"decoder": "cross-attention", "spacing": "random"}, "of decoder 'cross-attention' nothing .* between"),
        ({"decoder": "conv", "spacing": "random", "states": 0}, "spacing is random, but .* no place to draw"),
        ({"decoder": "oracle", "spacing": "random"}, "of decoder 'oracle' nothing is reconstructed between the ends"),
    ],
)
def test_decoders_and_targets_that_do_not_fit_are_refused(settings, quoted):
    with pytest.raises(ValueError, match=quoted):
        CoherenceConfig(**settings)


def test_targets_by_name_are_those_by_order_and_a_recipe_with_them_takes_any_decoder():
    by_name = CoherenceConfig(decoder="render+cross-attention", targets="cross-attention = either, conv=final")
    assert by_name.targets_of() == {"render": "intermediate", "cross-attention": "either"}
    assert by_name.targets_of() == dataclasses.replace(by_name, targets="own,either").targets_of()
    task = recipe("vicreg-tiny").coherence
    assert task.targets_of() == by_name.targets_of()
    for decoder in ("conv", "cross-attention", "render", "oracle", "conv+render", "oracle+render"):
        assert list(dataclasses.replace(task, decoder=decoder).targets_of()) == [
            name for name in decoder.split("+") if name != "oracle"
        ]
