"""Every kind of timm encoder fits the one contract."""

import copy
import math

import pytest
import timm
import torch

from equicoherence.models import Encoder, SplitHead
from equicoherence.training.checkpoint import export_encoder

CASES = [
    ("vit_tiny_patch16_224", {"img_size": 64, "depth": 2}, True, (4, 4)),
    ("vit_tiny_patch16_224", {"img_size": 64, "depth": 2, "class_token": False, "global_pool": "avg"}, False, (4, 4)),
    ("vit_tiny_patch16_224", {"img_size": 64, "depth": 2, "reg_tokens": 4}, True, (4, 4)),
    ("deit_tiny_distilled_patch16_224", {"img_size": 64, "depth": 2}, True, (4, 4)),
    ("resnet18", {}, False, (2, 2)),
    ("convnext_atto", {}, False, (2, 2)),
    ("swin_tiny_patch4_window7_224", {"img_size": 64, "depths": [1, 1, 1, 1]}, False, (2, 2)),
    ("efficientnet_b0", {}, False, (2, 2)),
    ("mobilenetv3_small_050", {}, False, (2, 2)),
    ("mobilenetv4_conv_small_035", {}, False, (2, 2)),
    ("ghostnet_100", {}, False, (2, 2)),
    ("lcnet_050", {}, False, (2, 2)),
    ("vit_base_patch16_siglip_224", {"img_size": 64, "depth": 1, "embed_dim": 24, "num_heads": 2}, False, (4, 4)),
]


@pytest.mark.parametrize(("name", "args", "has_cls", "grid"), CASES)
def test_features_have_the_stated_shapes(name, args, has_cls, grid):
    encoder = Encoder(name, args).eval()
    features = encoder(torch.rand(2, 3, 64, 64))
    assert features.patches.shape == (2, grid[0] * grid[1], encoder.width)
    assert features.grid == grid
    assert (features.cls is not None) == has_cls
    assert features.pooled().shape == (2, encoder.width)


@pytest.mark.parametrize(("name", "args", "has_cls", "grid"), CASES)
def test_every_trained_parameter_gets_a_gradient(name, args, has_cls, grid):
    """Or data-parallel training would wait for it, and an unused norm would be exported untrained."""
    encoder = Encoder(name, args, read="tokens")
    features = encoder(torch.rand(4, 3, 64, 64))
    (features.patches.square().sum() + (features.cls.sum() if has_cls else 0)).backward()
    assert [n for n, p in encoder.named_parameters() if p.requires_grad and p.grad is None] == []


@pytest.mark.parametrize(
    ("name", "idle"),
    [("mobilenetv3_small_050", {"conv_head"}), ("efficientnet_b0", set()), ("convnext_atto", {"head"})],
)
def test_no_more_is_frozen_than_what_the_features_never_reach(name, idle):
    encoder = Encoder(name, read="tokens")
    frozen = {n.split(".")[0] for n, p in encoder.model.named_parameters() if not p.requires_grad}
    assert frozen == idle
    assert all(p.grad is None and p.device.type == "cpu" for p in encoder.parameters())


def test_patch_tokens_are_row_by_row():
    encoder = Encoder("resnet18", {"layers": [1, 1, 1, 1], "channels": [8, 8, 8, 8], "output_stride": 8}).eval()
    plain = torch.full((1, 3, 64, 64), 0.5)
    marked = plain.clone()
    marked[:, :, :8, -8:] = 1.0  # top right
    change = (encoder(marked).patches - encoder(plain).patches).abs().sum(dim=-1).view(8, 8)
    row, column = divmod(int(change.argmax()), 8)
    assert row <= 1
    assert column >= 6


def test_images_are_normalised_inside():
    encoder = Encoder("resnet18").eval()
    image = torch.rand(1, 3, 64, 64)
    expected = encoder.model.forward_features((image - encoder.mean) / encoder.std)
    assert torch.allclose(encoder(image).patches, expected.flatten(2).transpose(1, 2), atol=1e-5)


def test_a_mean_and_deviation_of_the_images_own_are_used_and_kept_for_timm(tmp_path):
    mean, std, image = (0.5016, 0.5037, 0.5060), (0.1030, 0.0999, 0.0969), torch.rand(2, 3, 32, 32)
    encoder = Encoder("resnet18", {"layers": [1, 1, 1, 1], "channels": [8, 8, 8, 8]}, mean=mean, std=std).eval()
    scaled = (image - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(std).view(1, 3, 1, 1)
    expected = encoder.model.forward_features(scaled).flatten(2).transpose(1, 2)
    assert torch.allclose(encoder(image).patches, expected, atol=1e-5)
    export_encoder(encoder, tmp_path, 32)
    found = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).pretrained_cfg
    assert (tuple(found["mean"]), tuple(found["std"])) == (pytest.approx(mean), pytest.approx(std))
    again = Encoder(f"local-dir:{tmp_path}", pretrained=True).eval()
    assert torch.equal(again(image).patches, encoder(image).patches)


def test_a_mean_alone_leaves_the_models_deviation():
    encoder, other = Encoder("resnet18", mean=(0.1, 0.2, 0.3)), Encoder("resnet18")
    assert torch.equal(encoder.std, other.std)
    assert encoder.mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("wrong", "quoted"),
    [
        ({"mean": (0.5, 0.5)}, r"mean must hold a number for each of the 3 channels, got \(0\.5, 0\.5\)"),
        ({"std": (0.5, 0.5, float("inf"))}, "std must hold a number for each"),
        ({"std": (0.5, 0.5, -0.1)}, r"std must be above 0 in all channels, got \(0\.5, 0\.5, -0\.1\)"),
    ],
)
def test_what_cannot_normalise_is_refused(wrong, quoted):
    with pytest.raises(ValueError, match=quoted):
        Encoder("resnet18", **wrong)


@pytest.mark.parametrize(
    ("name", "args", "layer"), [("vit_tiny_patch16_224", {"img_size": 64, "depth": 3}, 1), ("resnet18", {}, 2)]
)
def test_a_layer_can_be_tapped_without_changing_the_output(name, args, layer):
    torch.manual_seed(0)
    encoder = Encoder(name, args, layers=(layer,)).eval()
    images = torch.rand(2, 3, 64, 64)
    features = encoder(images)
    assert features.tapped[0].shape == (2, math.prod(features.tapped_grids[0]), *encoder.tapped_widths)
    encoder.layers = ()
    assert torch.allclose(encoder(images).patches, features.patches, atol=1e-5)


def test_misspelt_names_and_layers_are_quoted():
    with pytest.raises(ValueError, match="resnet18x"):
        Encoder("resnet18x")
    with pytest.raises(ValueError, match="layer 99"):
        Encoder("resnet18", layers=(99,))


@pytest.fixture
def folder(tmp_path):
    """A small vision transformer with other arguments than its architecture's, as a run exports it."""
    torch.manual_seed(0)
    args = {"img_size": 64, "patch_size": 16, "embed_dim": 24, "depth": 1, "num_heads": 2}
    export_encoder(Encoder("vit_tiny_patch16_224", args), tmp_path, 64)
    return tmp_path


def test_a_folder_is_an_encoder_as_in_timm(folder, tmp_path):
    images = torch.rand(2, 3, 64, 64)
    encoder = Encoder(f"local-dir:{folder}", pretrained=True).eval()
    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    expected = model.forward_features((images - encoder.mean) / encoder.std)
    assert torch.allclose(encoder(images).cls, expected[:, 0], atol=1e-5)
    again = tmp_path / "again"
    again.mkdir()
    export_encoder(encoder, again, 64)  # which says what the model is, not where it came from
    assert torch.equal(Encoder(f"local-dir:{again}", pretrained=True).eval()(images).cls, encoder(images).cls)


def test_a_vision_transformer_from_a_folder_masks_and_takes_any_size(folder):
    encoder = Encoder(f"local-dir:{folder}", masked=True, any_size=True).eval()
    features = encoder(torch.rand(1, 3, 32, 64), torch.ones(1, 8, dtype=torch.bool))
    assert features.grid == (2, 4)


def test_a_folder_of_another_kind_cannot_mask_and_a_missing_one_is_named(tmp_path):
    export_encoder(Encoder("resnet18", {"layers": [1, 1, 1, 1], "channels": [8, 8, 8, 8]}), tmp_path, 64)
    with pytest.raises(ValueError, match="cannot mask"):
        Encoder(f"local-dir:{tmp_path}", masked=True)
    with pytest.raises(FileNotFoundError, match=r"nowhere.config\.json does not exist"):
        Encoder(f"local-dir:{tmp_path / 'nowhere'}")


def test_a_forward_that_fails_leaves_nothing_to_the_next():
    torch.manual_seed(0)
    encoder = Encoder("vit_tiny_patch16_224", {"img_size": 64, "depth": 2}, masked=True).eval()
    images, masks = torch.rand(1, 3, 64, 64), torch.ones(1, 16, dtype=torch.bool)
    expected = encoder(images).patches
    wrong = torch.rand(1, 3, 48, 48)
    for arguments in ({"masks": masks}, {"class_only": True}):
        with pytest.raises(ValueError, match="48 x 48"):
            encoder(wrong, **arguments)
        found = encoder.model.forward_features((images - encoder.mean) / encoder.std)
        assert torch.allclose(found[:, 1:], expected, atol=1e-5)


def test_cls_pooling_needs_a_class_token():
    with pytest.raises(ValueError, match="class token"):
        Encoder("resnet18").eval()(torch.rand(1, 3, 64, 64)).pooled("cls")


def test_split_gives_both_parts_and_no_features_are_added():
    features = Encoder("resnet18").eval()(torch.rand(2, 3, 64, 64))
    z_inv, z_equi = SplitHead(512, 32, 8)(features)
    assert z_inv.shape == (2, 4, 24)
    assert z_equi.shape == (2, 4, 8)
    assert SplitHead(512, 32, 0)(features)[1] is None
    with pytest.raises(ValueError, match="d_equi=32"):
        SplitHead(512, 32, 32)


def test_a_split_without_d_has_no_invariant_part():
    features = Encoder("resnet18").eval()(torch.rand(2, 3, 64, 64))
    z_inv, z_equi = SplitHead(512, None, 8)(features)
    assert z_inv is None
    assert z_equi.shape == (2, 4, 8)


@pytest.mark.parametrize(
    ("name", "args", "any_size"),
    [
        ("vit_tiny_patch16_224", {"img_size": 64, "depth": 1}, False),
        ("vit_tiny_patch16_224", {"img_size": 64, "depth": 1, "reg_tokens": 2}, True),
        ("deit_tiny_distilled_patch16_224", {"img_size": 64, "depth": 1}, False),
        ("eva02_tiny_patch14_224", {"img_size": 56, "depth": 1}, True),
        ("vit_tiny_r_s16_p8_224", {"img_size": 32, "patch_size": 2, "depth": 1}, True),
        ("vit_small_r26_s32_224", {"img_size": 128, "depth": 1}, False),
        ("vit_base_mci_224", {"img_size": 64, "depth": 1}, False),
    ],
)
def test_masked_tokens_say_nothing_of_their_pixels(name, args, any_size):
    torch.manual_seed(0)
    encoder = Encoder(name, args, masked=True, any_size=any_size).eval()
    side, patch = args["img_size"], args["img_size"] // 4
    images = torch.rand(2, 3, side, side)
    masks = torch.zeros(2, 16, dtype=torch.bool)
    masks[0, 5] = True  # row 1, column 1
    changed = images.clone()
    changed[:, :, patch : 2 * patch, patch : 2 * patch] = 0
    a, b = encoder(images, masks).patches, encoder(changed, masks).patches
    assert torch.equal(a[0], b[0])
    assert not torch.allclose(a[1], b[1])
    assert torch.allclose(a[1], encoder(images).patches[1], atol=1e-5)  # the next call knows nothing of the masks
    encoder(images, masks).patches.sum().backward()
    assert encoder.mask_token.grad.abs().sum() > 0


def test_all_masked_tokens_still_know_where_they_are():
    torch.manual_seed(0)
    encoder = Encoder("vit_tiny_patch16_224", {"img_size": 64, "depth": 1}, masked=True).eval()
    patches = encoder(torch.rand(1, 3, 64, 64), torch.ones(1, 16, dtype=torch.bool)).patches[0]
    assert torch.cdist(patches, patches).add(torch.eye(16)).min() > 1e-3


def test_the_mask_token_is_no_part_of_the_timm_model():
    encoder = Encoder("vit_tiny_patch16_224", {"img_size": 64, "depth": 1}, masked=True)
    assert "mask_token" in encoder.state_dict()
    assert not any("mask_token" in name for name in encoder.model.state_dict())
    assert 0.015 < encoder.mask_token.std() < 0.025


def test_a_copy_masks_with_its_own_token():
    encoder = Encoder("vit_tiny_patch16_224", {"img_size": 64, "depth": 1}, masked=True).eval()
    images, masks = torch.rand(1, 3, 64, 64), torch.ones(1, 16, dtype=torch.bool)
    copied = copy.deepcopy(encoder)
    before = encoder(images, masks).patches
    copied.mask_token.data += 1
    assert torch.equal(encoder(images, masks).patches, before)
    assert not torch.allclose(copied(images, masks).patches, before)


@pytest.mark.parametrize("size", [(36, 36), (60, 60), (32, 44)])
def test_a_hybrid_takes_whole_patches_of_pixels_alone(size):
    encoder = Encoder("vit_tiny_r_s16_p8_224", {"img_size": 32, "patch_size": 2, "depth": 1}, any_size=True)
    assert encoder(torch.rand(1, 3, 48, 64)).grid == (6, 8)
    with pytest.raises(ValueError, match=rf"{size[0]} x {size[1]} pixels: its patches of 8 x 8 would leave"):
        encoder(torch.rand(1, 3, *size))


def test_a_hybrid_whose_convolutions_pad_takes_any_size_that_they_cover():
    assert Encoder("vit_small_r26_s32_224", {"img_size": 65, "depth": 1}).own_size == (65, 65)
    with pytest.raises(ValueError, match="72 x 72 pixels: its patches of 16 x 16 would leave"):
        Encoder("vit_base_mci_224", {"img_size": 72, "depth": 1})


def test_masks_have_the_grid_of_the_tokens_at_each_size():
    args = {"img_size": 32, "patch_size": 2, "depth": 1, "reg_tokens": 2}
    encoder = Encoder("vit_tiny_r_s16_p8_224", args, masked=True, any_size=True).eval()
    images = torch.rand(1, 3, 48, 64)
    masks = torch.zeros(1, 48, dtype=torch.bool)
    masks[0, 9] = True  # row 1, column 1 of 6 x 8
    changed = images.clone()
    changed[:, :, 8:16, 8:16] = 0
    assert torch.equal(encoder(images, masks).patches, encoder(changed, masks).patches)
    changed[:, :, 16:24, 8:16] = 0
    assert not torch.allclose(encoder(images, masks).patches, encoder(changed, masks).patches)


def test_a_size_that_a_hybrid_is_not_built_for_names_the_assertion():
    with pytest.raises(ValueError, match=r"cannot build vit_tiny_r_s16_p8_224 .*: assert self.feature_size\[0\]"):
        Encoder("vit_tiny_r_s16_p8_224", {"img_size": 36, "patch_size": 2, "depth": 1})


def test_masks_are_refused_where_nothing_can_be_masked():
    with pytest.raises(ValueError, match="resnet18 cannot mask"):
        Encoder("resnet18", masked=True)
    with pytest.raises(ValueError, match="masked=True"):
        Encoder("vit_tiny_patch16_224", {"img_size": 64, "depth": 1})(
            torch.rand(1, 3, 64, 64), torch.ones(1, 16, dtype=torch.bool)
        )


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "deit_tiny_distilled_patch16_224", "resnet18"])
def test_any_size_has_the_grid_of_its_own_pixels(name):
    args = {"img_size": 64, "depth": 1} if "patch" in name else {"output_stride": 16}
    encoder = Encoder(name, args, any_size=True).eval()
    for height, width in ((64, 64), (32, 32), (96, 32)):
        features = encoder(torch.rand(1, 3, height, width))
        assert features.grid == (height // 16, width // 16)
        assert features.patches.shape[1] == features.grid[0] * features.grid[1]


def test_taking_any_size_changes_nothing_at_the_own_size():
    images = torch.rand(1, 3, 64, 64)
    outputs = []
    for any_size in (False, True):
        torch.manual_seed(0)
        encoder = Encoder("vit_tiny_patch16_224", {"img_size": 64, "depth": 1}, any_size=any_size).eval()
        outputs.append(encoder(images).patches)
    assert torch.allclose(*outputs, atol=1e-6)
