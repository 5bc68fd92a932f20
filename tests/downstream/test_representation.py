"""Dense tasks read any representation of a run in place of its encoder's output."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from equicoherence import evaluate
from equicoherence.coherence import CoherenceConfig
from equicoherence.downstream.representation import joined_maps, with_representation
from equicoherence.downstream.segmentation.task import Segmentation
from equicoherence.downstream.tokens import sized, stride
from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.evaluation.model import of_run
from equicoherence.evaluation.task import no_bar
from equicoherence.methods.sie import SIEConfig
from equicoherence.methods.vicreg import VICRegConfig
from equicoherence.models.joined import joined
from equicoherence.training import EncoderConfig, PretrainConfig, ViewsConfig
from equicoherence.training.build import build_learner
from tests.downstream.colour_regions import ColourRegions
from tests.small import picture_folder

CONVOLUTIONAL = EncoderConfig("resnet18", {"layers": [1, 1, 1, 1], "channels": [8, 16, 16, 16]})
TRANSFORMER = EncoderConfig(
    "vit_tiny_patch16_224", {"img_size": 32, "patch_size": 8, "depth": 2, "embed_dim": 48, "num_heads": 3}
)


def run_with_head(encoder: EncoderConfig, layers: tuple[int, ...]) -> FrozenModel:
    config = PretrainConfig(
        name="small",
        method=VICRegConfig(width=8),
        encoder=encoder,
        d=16,
        coherence=CoherenceConfig(d_equi=12, decoder="render", layers=layers, split="conv"),
        views=ViewsConfig(size=32, source=40),
    )
    return built(config)


def built(config: PretrainConfig) -> FrozenModel:
    torch.manual_seed(0)
    return of_run(Path("run"), config, build_learner(config, pretrained=False).eval())


@pytest.mark.parametrize(("encoder", "layers"), [(CONVOLUTIONAL, (2, 1)), (TRANSFORMER, (0, 1)), (CONVOLUTIONAL, ())])
@torch.no_grad()
def test_tokens_at_the_runs_own_size_are_those_of_represent(encoder: EncoderConfig, layers: tuple[int, ...]) -> None:
    model = run_with_head(encoder, layers)
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    pooled, tokens = model.represent(images)
    z_equi = with_representation(model, "z_equi").encoder(images)
    torch.testing.assert_close(z_equi.patches, tokens["z_equi"])
    backbone = with_representation(model, "backbone").encoder(images)
    assert backbone.grid == z_equi.grid
    own = model.encoder(images)
    assert (own.grid == z_equi.grid) == (layers != (2, 1))
    upsampled = F.interpolate(own.patches.transpose(1, 2).unflatten(2, own.grid), z_equi.grid, mode="bilinear")
    torch.testing.assert_close(backbone.patches, upsampled.flatten(2).transpose(1, 2))
    torch.testing.assert_close(backbone.patches.mean(dim=1), pooled["backbone"])
    both = with_representation(model, "joined").encoder(images)
    for place in range(z_equi.patches.shape[1]):
        expected = joined(backbone.patches[:, place], z_equi.patches[:, place])
        torch.testing.assert_close(both.patches[:, place], expected)


@torch.no_grad()
def test_images_of_other_sizes_keep_the_grid_of_z_equi() -> None:
    for encoder, layers, step in ((CONVOLUTIONAL, (2, 1), 8), (CONVOLUTIONAL, (1,), 4), (TRANSFORMER, (0, 1), 8)):
        made = with_representation(run_with_head(encoder, layers), "joined")
        assert stride(made.encoder, made.size) == step
        features = sized(made.encoder, (64, 96))(torch.rand(1, 3, 64, 96))
        assert features.grid == (64 // step, 96 // step)
        assert features.patches.shape[1] == 64 * 96 // step**2


def test_a_dense_task_scores_z_equi_and_the_run_is_left_as_it_is() -> None:
    model = run_with_head(CONVOLUTIONAL, (0, 1))
    before = {name: value.clone() for name, value in model.encoder.state_dict().items()}
    made = with_representation(model, "z_equi")
    assert made.name == "run, z_equi"
    assert not made.has_random_control
    assert made.source == model.source
    task = Segmentation(pixels=64, steps=60, batch=4, lr=1e-2)
    found = task.score(made, ColourRegions(8, 0), ColourRegions(4, 1), no_bar)
    row = found.rows[0]
    assert row.floor is not None
    assert row.value > row.floor + 0.2
    assert all(torch.equal(value, before[name]) for name, value in model.encoder.state_dict().items())


def test_scores_of_one_representation_are_not_taken_for_those_of_another(tmp_path: Path) -> None:
    model, data, out = run_with_head(CONVOLUTIONAL, (0, 1)), picture_folder(tmp_path / "data", 8), tmp_path / "scores"
    first = evaluate(with_representation(model, "joined"), data=data, tasks=["knn"], out=out, track=no_bar)
    assert evaluate(with_representation(model, "joined"), data=data, tasks=["knn"], out=out, track=no_bar) == first
    for read in ("backbone", "z_equi"):
        with pytest.raises(ValueError, match=rf"scores of 'run, joined', these are of 'run, {read}'; give another"):
            evaluate(with_representation(model, read), data=data, tasks=["knn"], out=out, track=no_bar)


@torch.no_grad()
def test_a_method_that_receives_theta_has_z_equi_without_the_task() -> None:
    views = ViewsConfig(size=32, source=40)
    method = SIEConfig(d_equi=6, width=12)
    model = built(PretrainConfig(method=method, encoder=CONVOLUTIONAL, d=16, coherence=None, views=views))
    images = torch.rand(2, 3, 32, 32)
    found = with_representation(model, "z_equi").encoder(images).patches
    torch.testing.assert_close(found, model.represent(images)[1]["z_equi"])


def test_a_model_without_z_equi_is_refused() -> None:
    model = run_with_head(CONVOLUTIONAL, (2, 1))
    assert model.config is not None
    plain = dataclasses.replace(built(model.config.plain()), name="plain")
    with pytest.raises(ValueError, match="plain computes no z_equi: give a run that has one"):
        with_representation(plain, "z_equi")
    with pytest.raises(ValueError, match="run computes no z_equi"):
        with_representation(dataclasses.replace(model, head=None), "joined")
    with pytest.raises(ValueError, match="'z_inv': choose one of backbone, z_equi, joined"):
        with_representation(model, "z_inv")  # type: ignore[arg-type]


def test_maps_are_joined_token_by_token() -> None:
    backbone, other = torch.rand(2, 5, 3, 4), torch.rand(2, 7, 3, 4)
    found = joined_maps(backbone, other)
    assert found.shape == (2, 12, 3, 4)
    torch.testing.assert_close(found[1, :, 2, 0], joined(backbone[1:, :, 2, 0], other[1:, :, 2, 0])[0])
