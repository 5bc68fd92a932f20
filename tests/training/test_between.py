"""Training on the path between the two views: what is refused, and runs end to end."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from equicoherence.coherence import CoherenceConfig
from equicoherence.data import Loader, open_images
from equicoherence.methods.ibot import IBOTConfig
from equicoherence.paths import Between
from equicoherence.training import (
    AugmentationConfig,
    EncoderConfig,
    PretrainConfig,
    ViewsConfig,
    build_learner,
    build_views,
    pretrain,
)
from equicoherence.training.build import build_feed, fit_theta
from tests.small import small_config

TURNED = AugmentationConfig(area=(0.4, 1.0), blur=0.2, rotation=20.0)


VIT = EncoderConfig(
    "vit_tiny_patch16_224", {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 1, "num_heads": 2}
)


def between(data="objects", coherence=None, changes=None, **views):
    settings = {"size": 32, "source": 32, "path": "between", "first": TURNED, "second": TURNED, **views}
    task = CoherenceConfig(d_equi=8, decoder="geodesic") if coherence is None else coherence
    return small_config(data, views=ViewsConfig(**settings), coherence=task, d=32, max_steps=2, **(changes or {}))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"flip": "independent"}, "views.flip independent one view may be the other's mirror image"),
        (
            {"first": dataclasses.replace(TURNED, rotation=100.0)},
            r"views.first.rotation 100 .* give 80 degrees at most",
        ),
        ({"first": {"rotation": -1.0}}, r"rotation of views must be in \[0, 180\] degrees, got -1.0"),
        (
            {"path": "se2"},
            "geodesic decoder warps .* views.path between, but views.path is se2; .* or another decoder",
        ),
        ({"path": "poses"}, "views.path is poses; give --views.path between, or --coherence.decoder solid"),
        ({"path": "se2", "place": "shared"}, "give --views.path between --views.place independent, or"),
        ({"size": 33}, r"coherence.scales \(2, 4\) must divide the size of the views, 33 px"),
    ],
)
def test_views_that_have_no_path_between_them_are_refused(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        between(**{name: AugmentationConfig(**v) if isinstance(v, dict) else v for name, v in settings.items()})


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"targets": "final"}, "geodesic decoder starts from both ends of the path, so targets 'final' would be free"),
        ({"targets": "base"}, "targets 'base' would be free"),
        ({"scales": ()}, "coherence.scales must be sides of 1 pixel or more"),
        ({"scales": (2, 3)}, r"multiples of the smallest, got \(2, 3\)"),
    ],
)
def test_targets_and_scales_that_mean_nothing_are_refused(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        CoherenceConfig(decoder="geodesic", **settings)


def test_states_of_poses_cannot_be_drawn():
    views = ViewsConfig(size=32, source=32, path="poses")
    with pytest.raises(ValueError, match="there are only the states that were rendered"):
        PretrainConfig(views=views, coherence=CoherenceConfig(spacing="random"))


def test_who_sees_the_path_means_nothing_between_the_views():
    config = between(invariant="base")
    assert not build_views(config, build_learner(config).encoder).base


def _trained(config, out):
    lines = [json.loads(line) for line in (pretrain(config, out) / "metrics.jsonl").read_text().splitlines()]
    return [line["reconstruction"] for line in lines]


def test_a_run_ends_to_end_and_its_samples_begin_at_view_1(folder, tmp_path):
    task = CoherenceConfig(d_equi=8, decoder="geodesic", spacing="random", states=3)
    assert all(np.isfinite(_trained(between(folder, task), tmp_path / "run")))
    with np.load(tmp_path / "run" / "samples.npz") as samples:
        assert np.array_equal(samples["base"], samples["v1"])
        assert samples["decoded"].shape == samples["targets"].shape == (8, 3, 32, 32, 3)
        assert np.allclose(samples["positions"], [0.25, 0.5, 0.75])
        assert list(samples["theta_names"]) == [p.name for p in Between.parameters]


@pytest.mark.parametrize(
    "task",
    [
        CoherenceConfig(
            d_equi=8,
            decoder="geodesic+cross-attention",
        ),
        CoherenceConfig(d_equi=8, decoder="oracle"),
        CoherenceConfig(d_equi=8, decoder="geodesic+oracle"),
    ],
    ids=lambda task: task.decoder,
)
def test_other_decoders_learn_the_path_between_the_views_too(folder, tmp_path, task):
    assert all(np.isfinite(_trained(between(folder, task), tmp_path / "run")))


def test_with_another_path_decoders_are_told_where_random_states_lie(folder, tmp_path):
    task = CoherenceConfig(d_equi=8, decoder="render+conv+cross-attention", spacing="random", share=0.5)
    assert all(np.isfinite(_trained(between(folder, task, path="se2"), tmp_path / "run")))


def test_a_method_of_local_crops_and_masks_has_its_two_global_views_at_the_ends(folder):
    method = IBOTConfig(prototypes=20, hidden=12, bottleneck=6)
    views = {"crops": 2, "crop_size": 16, "mask_probability": 0.5, "crop": dataclasses.replace(TURNED, area=(0.1, 0.3))}
    config = between(folder, changes={"method": method, "encoder": VIT}, **views)
    torch.manual_seed(0)
    learner = build_learner(config)
    feed = build_feed(config, learner.encoder)
    batch = next(iter(Loader(feed.source, 32).batches([feed.indices(8, 0, 0)])))
    views = feed.views(batch, torch.Generator().manual_seed(0))
    assert views.crops.shape == (2, 8, 3, 16, 16)
    losses = learner(views).losses
    assert torch.stack(list(losses.values())).isfinite().all()


@pytest.mark.parametrize("decoder", ["oracle", "geodesic+oracle"])
def test_the_oracle_learns_theta_on_the_scale_of_what_it_sees(folder, decoder):
    config = between(folder, CoherenceConfig(d_equi=8, decoder=decoder))
    learner = build_learner(config)
    feed = build_feed(config, learner.encoder)
    fit_theta(learner, feed)
    batch = next(iter(Loader(open_images(str(folder), "train"), 32).batches([np.arange(38)])))
    oracle = learner.task if decoder == "oracle" else learner.task.tasks["oracle"]
    theta = oracle.standard(feed.views(batch, torch.Generator().manual_seed(0)).theta)
    assert theta.shape == (38, 19)
    assert 0.5 < float(theta.square().mean()) < 2


def test_on_photographs_the_geodesic_decoder_falls_below_no_motion(shared_data):
    """One batch, learnt by heart, with the error of the mean of both views to begin with."""
    photographs = str(shared_data("clothing_small/clothing_128.tar.gz"))
    config = between(photographs, CoherenceConfig(d_equi=16, decoder="geodesic", spacing="random"), source=64)
    torch.manual_seed(0)
    learner = build_learner(config)
    feed = build_feed(config, learner.encoder)
    batch = next(iter(Loader(feed.source, 64).batches([feed.indices(16, 0, 0)])))
    views = feed.views(batch, torch.Generator().manual_seed(0))
    optimizer, errors = torch.optim.Adam(learner.parameters(), 1e-2), []
    for _ in range(15):
        error = learner(views).losses["reconstruction"]
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(float(error.detach()))
    assert errors[-1] < 0.8 * errors[0]
