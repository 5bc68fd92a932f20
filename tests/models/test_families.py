"""The odd families of timm's encoders: what stands for an image is what timm makes of it, or they are refused."""

import pytest
import timm
import torch

from equicoherence.evaluation import load_model
from equicoherence.models import Encoder
from equicoherence.training.checkpoint import export_encoder

SMALL = {"embed_dim": 24, "depth": 2, "num_heads": 3}
VIT = {"img_size": 64, "patch_size": 16, **SMALL}
# name, arguments, what stands for an image in timm, and what where tokens alone are trained (None: not in timm)
FAMILIES = [
    ("vit_tiny_patch16_224", VIT, "cls", "mean"),
    ("vit_wee_patch16_reg1_gap_256", VIT, "head", "head"),  # a norm after the mean
    ("vit_base_patch16_siglip_224", VIT, "head", "mean"),  # attention pooling
    ("deit_tiny_distilled_patch16_224", VIT, "head", None),  # the mean of class and distillation token
    ("eva02_tiny_patch14_224", VIT, "head", "head"),
    ("beit_base_patch16_224", VIT, "head", "head"),
    ("xcit_nano_12_p16_224", {"img_size": 64, "embed_dim": 24, "depth": 1, "num_heads": 2}, "cls", "mean"),
    ("cait_xxs24_224", {"img_size": 64, "depth_token_only": 1, **SMALL}, "cls", "mean"),
    ("test_convnext", {}, "head", "head"),
    ("lcnet_035", {}, "head", None),  # a layer between the mean and the classes
    ("test_efficientnet", {}, "mean", "mean"),
]
NAMES = [family[0] for family in FAMILIES]


@pytest.fixture(autouse=True)
def _one_thread():
    """On two, torch 2.14 waits for ever in the gradient of XCiT's first convolution (3 to 3 channels, stride 2)."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _inputs(encoder, count=2):
    images = torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    return images, (images - encoder.mean) / encoder.std


@torch.no_grad()
@pytest.mark.parametrize(("name", "args", "pool", "_trained"), FAMILIES, ids=NAMES)
def test_what_stands_for_an_image_is_what_timm_gives(name, args, pool, _trained):
    torch.manual_seed(0)
    encoder = Encoder(name, args).eval()
    images, normal = _inputs(encoder)
    assert encoder.pool == pool
    pooled = encoder(images).pooled(encoder.pool)
    assert pooled.shape == (2, encoder.pooled_width)
    assert torch.allclose(pooled, encoder.model(normal), atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize(("name", "args", "_pool", "trained"), FAMILIES, ids=NAMES)
def test_where_tokens_are_trained_no_untrained_head_stands_for_an_image_anywhere(name, args, _pool, trained, tmp_path):
    torch.manual_seed(0)
    encoder = Encoder(name, args, read="tokens").eval()
    images, normal = _inputs(encoder)
    pooled = encoder(images).pooled(encoder.pool)
    if trained is None:
        assert encoder.pool == "mean"
        with pytest.raises(ValueError, match=f"timm has no way to pool {name} by the mean of the patch tokens"):
            export_encoder(encoder, tmp_path, 64)
        return
    assert encoder.pool == trained
    export_encoder(encoder, tmp_path, 64, source=96)
    model = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
    assert torch.allclose(model(normal), pooled, atol=1e-5)
    again = load_model(f"timm:local-dir:{tmp_path}")
    assert (again.size, again.source, again.pool) == (64, 96, trained)
    assert torch.allclose(again.represent(images)[0]["backbone"], pooled, atol=1e-5)


@pytest.mark.parametrize("read", ["all", "tokens"])
@pytest.mark.parametrize(("name", "args", "pool", "_trained"), FAMILIES, ids=NAMES)
def test_all_that_is_not_frozen_gets_a_gradient_from_what_is_read(name, args, pool, _trained, read):
    encoder = Encoder(name, args, read=read)
    features = encoder(_inputs(encoder, 4)[0])
    read_of = features.patches.square().sum() + (features.pooled(pool).sum() if read == "all" else 0)
    read_of.backward()
    assert [n for n, p in encoder.named_parameters() if p.requires_grad and p.grad is None] == []


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("pit_ti_224", r"features of shape \(2, 1, 256\) .* whose 0 patch tokens are no grid"),
        ("pit_s_distilled_224", r"features of shape \(2, 2, 576\) .* whose 0 patch tokens are no grid"),
        ("crossvit_tiny_240", r"2 outputs of shapes \(2, 401, 96\), \(2, 197, 192\), but one set of tokens"),
    ],
)
@pytest.mark.parametrize("read", ["all", "tokens"])
def test_an_encoder_without_one_grid_of_tokens_is_refused_with_its_shapes(name, shapes, read):
    with pytest.raises(ValueError, match=f"^{name} gives {shapes}"):
        Encoder(name, read=read)


def test_tokens_before_the_patches_are_counted_where_timm_does_not():
    features = Encoder("volo_d1_224", {"img_size": 64}).eval()(torch.rand(1, 3, 64, 64))
    assert features.grid == (4, 4)
    assert features.cls is not None


@pytest.mark.parametrize(
    ("name", "args", "size", "sentence"),
    [
        (
            "vit_tiny_patch16_224",
            {**VIT, "dynamic_img_size": True},
            100,
            r"pixels: Input height .* should be divisible by patch size",
        ),
        ("vit_tiny_patch16_224", VIT, 48, "as it is built for 64 x 64"),
        ("vit_tiny_patch16_224", {**VIT, "img_size": 100}, 100, r"patches of 16 x 16 would .* such as 96 or 112"),
        ("mixer_s32_224", {}, 64, r"Input height \(64\) doesn't match model \(224\)"),
        ("swin_tiny_patch4_window7_224", {"depths": (1, 1, 1, 1)}, 64, "as it is built for 224"),
    ],
)
def test_a_size_that_does_not_fit_is_refused_and_never_cut(name, args, size, sentence):
    with pytest.raises(ValueError, match=f"^{name} does not take images of {size} x {size}.*{sentence}"):
        Encoder(name, args).eval()(torch.rand(1, 3, size, size))


@pytest.mark.parametrize("name", ["resnet18", "test_efficientnet"])
def test_convolutions_that_pad_take_any_size(name):
    assert Encoder(name).eval()(torch.rand(1, 3, 101, 75)).grid == (4, 3)


def test_a_map_may_be_cut_where_what_is_left_has_seen_all_of_it():
    assert Encoder("convnext_atto").eval()(torch.rand(1, 3, 100, 100)).grid == (3, 3)


def test_spatial_reduction_within_attention_cuts_nothing():
    encoder = Encoder("pvt_v2_b0", {"linear": False}).eval()
    assert encoder(torch.rand(1, 3, 72, 72)).grid == (3, 3)  # its keys alone are of multiples of 8 patches


def test_grids_keep_the_sides_of_an_image():
    args = {"img_size": (128, 32), "embed_dim": 24, "depth": 1, "num_heads": 2}
    assert Encoder("xcit_nano_12_p16_224", args).eval()(torch.rand(1, 3, 128, 32)).grid == (8, 2)


@torch.no_grad()
def test_attention_biases_follow_the_weights_in_eval_mode_too():
    """As an average's do that teaches, and weights that are loaded after a first forward."""
    encoder = Encoder("levit_128s").eval()
    images = torch.rand(1, 3, 224, 224)
    before = encoder(images).patches
    for name, parameter in encoder.named_parameters():
        if "attention_biases" in name:
            parameter += torch.randn_like(parameter)
    assert not torch.allclose(encoder(images).patches, before)


def test_published_weights_lose_the_head_that_is_not_trained(tmp_path):
    torch.manual_seed(0)
    whole = Encoder("vit_base_patch16_siglip_224", VIT)
    export_encoder(whole, tmp_path, 64)
    found = Encoder(f"local-dir:{tmp_path}", pretrained=True, read="tokens")
    weights = whole.model.state_dict()
    assert found.pool == "mean"
    assert not any(name.startswith("attn_pool") for name in found.model.state_dict())
    assert all(torch.equal(tensor, weights[name]) for name, tensor in found.model.state_dict().items())


def test_arguments_that_a_model_does_not_have_are_quoted():
    with pytest.raises(ValueError, match=r"timm cannot build resnet18 with the arguments {'img_size': 64}: .*img_size"):
        Encoder("resnet18", {"img_size": 64})


def test_building_draws_the_same_numbers_whatever_is_read():
    states = []
    for read in ("all", "tokens"):
        torch.manual_seed(0)
        Encoder("vit_tiny_patch16_224", VIT, read=read)
        states.append(torch.get_rng_state())
    assert torch.equal(*states)
