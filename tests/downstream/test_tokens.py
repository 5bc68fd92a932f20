"""Patch tokens of images at any size: those of the encoder, in order, wherever they are kept."""

from __future__ import annotations

import time

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F

from equicoherence.data.source import BadImage
from equicoherence.downstream import tokens
from equicoherence.downstream.tokens import (
    extract_tokens,
    input_size,
    read_ahead,
    resizable,
    resize_image,
    sized,
    some_shapes,
    stride,
)
from equicoherence.evaluation.task import no_bar, spread
from equicoherence.finite import NotFinite
from equicoherence.models import Encoder

SMALL = {"img_size": 32, "patch_size": 8, "depth": 2, "embed_dim": 48, "num_heads": 3}


def transformer(name: str = "vit_tiny_patch16_224", **more: object) -> Encoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = Encoder(name, SMALL | more).eval()
        if isinstance(encoder.model.pos_embed, torch.nn.Parameter):
            torch.nn.init.normal_(encoder.model.pos_embed, std=1.0)  # the larger, the more a wrong place shows
    return encoder


def noise(size: tuple[int, int], count: int = 2) -> torch.Tensor:
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(1))


def test_a_resizable_encoder_says_the_same_at_its_own_size() -> None:
    encoder = Encoder("vit_tiny_patch16_224", SMALL, mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7)).eval()
    ours = resizable(encoder)
    with torch.no_grad():
        before, after = encoder(noise((32, 32))), ours(noise((32, 32)))
    assert torch.equal(before.patches, after.patches)
    assert torch.equal(before.cls, after.cls)
    assert not ours.training
    assert resizable(ours) is ours


@pytest.mark.parametrize("size", [(48, 64), (24, 32), (64, 64)])
@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "deit_tiny_distilled_patch16_224"])
def test_position_embeddings_are_interpolated_for_other_sizes(name: str, size: tuple[int, int]) -> None:
    encoder = transformer(name)
    prefix, width = encoder.model.num_prefix_tokens, encoder.width
    positions = encoder.model.get_parameter("pos_embed").detach()
    grid = positions[:, prefix:].reshape(1, 4, 4, width).permute(0, 3, 1, 2)
    other = F.interpolate(grid, (size[0] // 8, size[1] // 8), mode="bicubic", antialias=True)
    built = timm.create_model(name, num_classes=0, **(SMALL | {"img_size": size})).eval()  # type: ignore[arg-type]
    moved = torch.cat([positions[:, :prefix], other.flatten(2).transpose(1, 2)], dim=1)
    built.load_state_dict(encoder.model.state_dict() | {"pos_embed": moved})
    images = noise(size)
    with torch.no_grad():
        expected = built.forward_features((images - encoder.mean) / encoder.std)  # type: ignore[operator]
        features = resizable(encoder)(images)
    assert features.grid == (size[0] // 8, size[1] // 8)
    assert torch.allclose(features.patches, expected[:, prefix:], atol=1e-5)
    assert torch.allclose(features.cls, expected[:, 0], atol=1e-5)


def test_convolutional_encoders_take_any_size_as_they_are() -> None:
    encoder = Encoder("resnet10t").eval()
    assert resizable(encoder) is encoder
    assert sized(encoder, (64, 96)) is encoder
    assert stride(encoder, 48) == 32, "whatever size is its own: 48 pixels give 2 tokens"
    assert stride(Encoder("resnet10t", {"output_stride": 8}), 48) == 8
    assert stride(transformer(), 32) == 8


def test_a_stride_that_timm_does_not_note_is_told_from_how_the_grid_grows() -> None:
    encoder = Encoder("resnet10t").eval()
    encoder.model.feature_info = []  # type: ignore[assignment]
    assert stride(encoder, 48) == 32


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("swin_tiny_patch4_window7_224", {"img_size": 64, "depths": (1, 1), "embed_dim": 24, "num_heads": (1, 2)}),
        ("beit_base_patch16_224", {"img_size": 32, "patch_size": 8, "depth": 1, "embed_dim": 24, "num_heads": 2}),
    ],
)
def test_encoders_of_one_size_are_rebuilt_for_another(name: str, args: dict[str, object]) -> None:
    encoder = Encoder(name, args).eval()
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    other = sized(encoder, (48, 80))
    with torch.no_grad():
        assert other(noise((48, 80))).grid == (6, 10)
    assert stride(encoder, 64) == 8
    assert list(before) == list(encoder.state_dict())
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())
    own = encoder.args["img_size"]
    with torch.no_grad():
        assert encoder(noise((own, own))).grid == (own // 8, own // 8)


def test_an_encoder_that_takes_one_size_alone_says_so() -> None:
    encoder = Encoder("mixer_s32_224").eval()
    with pytest.raises(ValueError, match="mixer_s32_224 takes images of 224 x 224 pixels, but not of 64 x 96 as asked"):
        sized(encoder, (64, 96))


def test_tokens_that_half_precision_cannot_keep_are_an_error() -> None:
    encoder = transformer()
    with torch.no_grad():
        encoder.model.get_parameter("norm.weight").mul_(1e6)
    with pytest.raises(NotFinite, match="vit_tiny_patch16_224 gives tokens that are not finite, or above 65,504"):
        extract_tokens(sized(encoder, (24, 32)), pictures, range(3), (24, 32), no_bar, "")


def test_the_sizes_of_images_are_those_of_64_all_over_the_set() -> None:
    assert some_shapes(lambda i: np.zeros((i + 1, 7, 3), np.uint8), range(1000))[-1] == (1000, 7)
    assert len(some_shapes(pictures, range(100))) == 64
    assert some_shapes(pictures, [9, 2]) == [(39, 40), (32, 40)]


def test_the_input_has_the_median_aspect_in_whole_strides() -> None:
    assert input_size([(360, 480)], 224, 16) == (224, 304)
    assert input_size([(480, 360)], 224, 16) == (304, 224)
    assert input_size([(100, 100), (100, 200), (100, 900)], 64, 8) == (64, 128)
    assert input_size([(100, 300)], 4, 8) == (8, 16), "never below one stride"


def test_images_are_read_in_order_whatever_they_take() -> None:
    def load(index: int) -> int:
        time.sleep(0.004 * (index % 5 == 0))
        return index

    indices = [*range(100, 0, -1), 7, 7]
    assert list(read_ahead(load, indices)) == indices
    assert list(read_ahead(load, [])) == []


def test_an_image_that_cannot_be_read_stops_its_reader() -> None:
    def load(index: int) -> int:
        if index == 40:
            raise BadImage("picture 40", "damaged")
        return index

    values = read_ahead(load, range(100))
    assert [next(values) for _ in range(40)] == list(range(40))
    with pytest.raises(BadImage, match="picture 40"):
        next(values)


def test_images_are_squashed_and_left_alone_at_their_own_size() -> None:
    image = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    assert resize_image(image, (4, 6)) is image
    assert resize_image(image, (8, 2)).shape == (8, 2, 3)


def pictures(index: int) -> np.ndarray:
    return np.random.default_rng(index).integers(0, 256, (30 + index, 40, 3), dtype=np.uint8)


def test_tokens_are_those_of_each_image_alone() -> None:
    encoder, wanted = resizable(transformer()), [3, 1, 4, 1, *range(10, 24)]
    found = extract_tokens(encoder, pictures, wanted, (24, 32), no_bar, "", cls=True)
    assert found.patches.shape == (18, 3, 4, 48)
    assert found.patches.dtype == torch.float16
    assert found.cls is not None
    for place in (0, 2, 17):
        image = torch.from_numpy(resize_image(pictures(wanted[place]), (24, 32))).permute(2, 0, 1)[None] / 255
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            features = encoder(image)
        assert torch.allclose(found.patches[place].flatten(0, 1).float(), features.patches[0].float(), atol=0.05)
        assert torch.allclose(found.cls[place].float(), features.cls[0].float(), atol=0.05)


def test_tokens_too_large_for_memory_are_mapped_and_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = resizable(transformer())
    kept = extract_tokens(encoder, pictures, range(20), (24, 32), no_bar, "")
    made, memmap = [], np.memmap

    def noted(*args: object, **more: object) -> np.memmap:
        made.append(more["shape"])
        return memmap(*args, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(tokens, "IN_MEMORY", 1000)
    monkeypatch.setattr(tokens.np, "memmap", noted)
    mapped = extract_tokens(encoder, pictures, range(20), (24, 32), no_bar, "")
    assert made == [(20, 3, 4, 48)]
    assert torch.equal(mapped.patches, kept.patches)
    assert mapped.cls is None


def test_no_images_is_an_error() -> None:
    with pytest.raises(ValueError, match="there are no images"):
        extract_tokens(resizable(transformer()), pictures, [], (24, 32), no_bar, "")


def test_a_limit_spreads_over_all_samples() -> None:
    assert spread(10, 0) == spread(10, 10) == spread(10, 99) == list(range(10))
    assert spread(101, 3) == [0, 50, 100]


def test_tokens_that_no_temporary_file_has_room_for_are_refused() -> None:
    with pytest.raises(OSError, match=r"need 1048576\.0 GiB .*free: set TMPDIR .* smaller train limit"):
        tokens.room((2**40, 8, 8, 8), torch.device("cpu"))
