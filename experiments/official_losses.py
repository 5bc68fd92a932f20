"""Losses, ours and those of the official code, of the same inputs. See official.py."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import SimpleNamespace

import torch
from official_code import bare, definitions, one_process, registry, silence
from torch import Tensor, nn

from equicoherence.downstream.depth.losses import gradient_loss, silog_loss
from equicoherence.methods.dino import dino_loss
from equicoherence.methods.dinov2 import koleo_loss
from equicoherence.methods.ibot import masked_patch_loss
from equicoherence.methods.sie import SIE, SIEConfig, sie_losses
from equicoherence.methods.targets import Targets, sinkhorn_knopp
from equicoherence.methods.vicreg import VICRegConfig, covariance_loss, variance_loss
from equicoherence.models import PrototypeHead

TEMPERATURE = 0.04
STEPS = 3  # of training, as the centre moves each time
DEPTH_LOSSES = "dinov2/eval/depth/models/losses"


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class Halved(nn.Module):
    """A predictor: half of the embedding, whatever is told."""

    def forward(self, embedding: Tensor, theta: Tensor) -> Tensor:
        return embedding / 2


class NoEvaluator(nn.Module):
    """What SIE evaluates while it trains: nothing."""

    def __init__(self, *sizes: int, num_classes: int = 0) -> None:
        super().__init__()

    def forward(self, *features: object) -> tuple[float, dict]:
        return 0.0, {}


def sie(folder: Path) -> tuple[Tensor, Tensor]:
    config, (batch, width) = SIEConfig(), (32, 24)
    # view 2 is near view 1, and both spread less than the hinge of the variance
    x = 0.6 * random(batch, 2 * width)
    y = x + 0.2 * random(batch, 2 * width, seed=1)
    not_needed = dict.fromkeys(("predictors", "resnet", "hypernetwork", "OnlineEvaluator"))
    official = bare(
        definitions(folder / "src/models.py", "SIE", **not_needed).SIE,
        args=SimpleNamespace(
            batch_size=batch,
            sim_coeff=config.invariance,
            equi_factor=config.equivariance / config.invariance,
            std_coeff=config.variance,
            cov_coeff=config.covariance,
            predictor_type="mlp",
        ),
        inv_repr_size=width,
        equi_repr_size=width,
        backbone=nn.Identity(),
        projector_inv=nn.Identity(),
        projector_equi=nn.Identity(),
        predictor=Halved(),
        evaluator=NoEvaluator(),
    )
    with one_process():
        theirs = official(x, y, torch.zeros(batch, 4), torch.zeros(batch))[0]
    invariant, equivariant = zip(x.split(width, dim=1), y.split(width, dim=1))
    terms = sie_losses(invariant, equivariant, equivariant[0] / 2)
    return torch.stack([getattr(config, name) * term for name, term in terms.items()]).sum(), theirs


def sie_expanders(folder: Path) -> tuple[Tensor, Tensor]:
    """Sizes of the linear layers of both expanders, by the options of SIE's README."""
    options = SimpleNamespace(arch="resnet18", equi=256, mlp="2048-2048-2048", predictor_type="mlp", tf_num_layers=1)
    given = {
        "resnet": SimpleNamespace(resnet18=lambda **options: (nn.Identity(), 512)),
        "predictors": SimpleNamespace(MLPPredictor=lambda **options: nn.Identity()),
        "hypernetwork": None,
        "OnlineEvaluator": NoEvaluator,
    }
    with silence():
        official = definitions(folder / "src/models.py", "SIE", **given).SIE(options)
    config = SIEConfig()
    ours = SIE(512 - config.d_equi, config, 4)
    pairs = ((ours.invariant_expander, ours.equivariant_expander), (official.projector_inv, official.projector_equi))
    sizes = [
        torch.tensor([layer.weight.shape for part in parts for layer in part if isinstance(layer, nn.Linear)])
        for parts in pairs
    ]
    return sizes[0], sizes[1]


def vicreg(folder: Path) -> tuple[Tensor, Tensor]:
    config, (batch, width) = VICRegConfig(), (32, 48)
    x = 0.6 * random(batch, width)
    y = x + 0.2 * random(batch, width, seed=1)
    settings = SimpleNamespace(
        batch_size=batch, sim_coeff=config.invariance, std_coeff=config.variance, cov_coeff=config.covariance
    )
    kind = definitions(folder / "main_vicreg.py", "VICReg", resnet=None).VICReg
    official = bare(kind, args=settings, num_features=width, backbone=nn.Identity(), projector=nn.Identity())
    with one_process():
        theirs = official(x, y)
    variance = (variance_loss(x) + variance_loss(y)) / 2
    covariance = covariance_loss(x) + covariance_loss(y)
    invariance = nn.functional.mse_loss(x, y)
    weighted = (config.invariance * invariance, config.variance * variance, config.covariance * covariance)
    return torch.stack(weighted).sum(), theirs


def dino(folder: Path) -> tuple[Tensor, Tensor]:
    views, batch, prototypes = 5, 16, 40
    student, teacher = random(views, batch, prototypes), random(2, batch, prototypes, seed=1)
    official = definitions(folder / "main_dino.py", "DINOLoss").DINOLoss(prototypes, views, TEMPERATURE, 0.07, 3, 9)
    with one_process():
        theirs = [official(student.flatten(0, 1), teacher.flatten(0, 1), 0) for _ in range(STEPS)]
    targets = Targets(prototypes, "ema", 0.9)
    ours = [dino_loss(student, targets(teacher, TEMPERATURE)) for _ in range(STEPS)]
    return torch.stack(ours), torch.stack(theirs)


def ibot(folder: Path, *, masked: float = 1.0) -> tuple[Tensor, Tensor]:
    """Class and patch loss of some steps. masked: share of the patches, all for which centres are the same."""
    views, batch, side, prototypes = 5, 8, 4, 40
    student, teacher = random(views, batch, prototypes), random(2, batch, prototypes, seed=1)
    student_patches, teacher_patches = (random(2, batch, side**2, prototypes, seed=seed) for seed in (2, 3))
    masks = torch.rand(2, batch, side, side, generator=torch.Generator().manual_seed(4)) < masked
    official = definitions(folder / "main_ibot.py", "iBOTLoss").iBOTLoss(
        prototypes, prototypes, 2, views - 2, *(TEMPERATURE, TEMPERATURE) * 2, 0, 9
    )
    theirs, ours = [], []
    of_students = (student[:2].flatten(0, 1), student_patches.flatten(0, 1))
    of_teachers = (teacher.flatten(0, 1), teacher_patches.flatten(0, 1))
    with one_process():
        for _ in range(STEPS):
            found = official(of_students, of_teachers, student[2:].flatten(0, 1), masks, 0)
            theirs += [found["cls"], found["patch"]]
    targets, patch_targets = (Targets(prototypes, "ema", 0.9) for _ in range(2))
    where = masks.flatten(2)
    weights = (1 / where.sum(dim=-1, keepdim=True).clamp(min=1)).expand(where.shape)[where]
    for _ in range(STEPS):
        ours.append(dino_loss(student, targets(teacher, TEMPERATURE)))
        patch = patch_targets(teacher_patches[where], TEMPERATURE)
        ours.append(masked_patch_loss(student_patches[where], patch, weights, 2 * batch))
    return torch.stack(ours), torch.stack(theirs)


def ibot_centre(folder: Path) -> tuple[Tensor, Tensor]:
    """The same where three patches of ten are masked: its centre is of all patches, ours of the masked ones."""
    return ibot(folder, masked=0.3)


def dinov2(folder: Path) -> tuple[Tensor, Tensor]:
    """Class and patch loss with the moving centre, and both kinds of targets by Sinkhorn-Knopp."""
    batch, tokens, prototypes = 16, 30, 40
    student, teacher = random(2, batch, prototypes), random(2, batch, prototypes, seed=1)
    student_patches, teacher_patches = (random(tokens, prototypes, seed=seed) for seed in (2, 3))
    of_sample = torch.arange(tokens) % (batch - 2)  # of two samples nothing is masked
    masks = torch.nn.functional.one_hot(of_sample, batch).T.bool()
    weights = (1 / masks.sum(dim=1))[of_sample]
    of_class = definitions(folder / "dinov2/loss/dino_clstoken_loss.py", "DINOLoss").DINOLoss(prototypes)
    of_patch = definitions(folder / "dinov2/loss/ibot_patch_loss.py", "iBOTPatchLoss").iBOTPatchLoss(prototypes)
    theirs, ours = [], []
    with one_process():
        for _ in range(STEPS):
            softened = of_class.softmax_center_teacher(teacher.flatten(0, 1), TEMPERATURE).view_as(teacher)
            of_class.update_center(teacher.flatten(0, 1))
            pairs = (of_class([student[0]], [softened[1]]), of_class([student[1]], [softened[0]]))
            theirs.append(torch.stack(pairs).mean()[None])
            softened = of_patch.softmax_center_teacher(teacher_patches[None], TEMPERATURE)[0]
            of_patch.update_center(teacher_patches[None])
            patch = of_patch.forward_masked(student_patches, softened, masks, masks_weight=weights)
            theirs.append(patch[None])
        theirs.append(of_class.sinkhorn_knopp_teacher(teacher.flatten(0, 1), 0.07).flatten())
        count = torch.tensor(tokens)
        theirs.append(of_patch.sinkhorn_knopp_teacher(teacher_patches, 0.07, n_masked_patches_tensor=count).flatten())
    targets, patch_targets = (Targets(prototypes, "ema", 0.9) for _ in range(2))
    for _ in range(STEPS):
        ours.append(dino_loss(student, targets(teacher, TEMPERATURE))[None])
        patch = patch_targets(teacher_patches, TEMPERATURE)
        ours.append(masked_patch_loss(student_patches, patch, weights, batch)[None])
    ours += [sinkhorn_knopp(logits, 0.07).flatten() for logits in (teacher.flatten(0, 1), teacher_patches)]
    return torch.cat(ours), torch.cat(theirs)


def koleo(folder: Path) -> tuple[Tensor, Tensor]:
    x = random(64, 24)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch.cuda.amp
        return koleo_loss(x), definitions(folder / "dinov2/loss/koleo_loss.py", "KoLeoLoss").KoLeoLoss()(x)


def dinov2_head(folder: Path) -> tuple[Tensor, Tensor]:
    """Logits, and the gradients of the prototypes' lengths and directions."""
    kind = definitions(folder / "dinov2/layers/dino_head.py", "DINOHead").DINOHead
    with warnings.catch_warnings(), torch.random.fork_rng():
        warnings.simplefilter("ignore", FutureWarning)  # torch.nn.utils.weight_norm
        torch.manual_seed(0)
        official = kind(12, 30, hidden_dim=20, bottleneck_dim=8)
    ours = PrototypeHead(12, 20, 8, 30, unit=False)
    ours.mlp.load_state_dict(official.mlp.state_dict())
    last = official.last_layer
    assert ours.last_layer.length is not None
    with torch.no_grad():
        last.weight_g.mul_(1 + random(30, 1).abs())
        ours.last_layer.weight.copy_(last.weight_v)
        ours.last_layer.length.copy_(last.weight_g)
    x, weights = random(16, 12, seed=1), random(16, 30, seed=2)
    found = []
    pairs = ((ours, (ours.last_layer.length, ours.last_layer.weight)), (official, (last.weight_g, last.weight_v)))
    for head, parameters in pairs:
        logits = head(x)
        gradients = torch.autograd.grad((logits * weights).sum(), parameters)
        found.append(torch.cat([part.flatten() for part in (logits, *gradients)]))
    return found[0], found[1]


def depths(*shape: int) -> tuple[Tensor, Tensor]:
    """Return depths that are predicted and true ones, .5 to 5.5 metres, a sixth of which are 0: not measured."""
    predicted, truth = (0.5 + 5 * torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    truth[random(*shape, seed=2) > 1] = 0
    return predicted, truth


def dinov2_gradient(folder: Path) -> tuple[Tensor, Tensor]:
    """Of one map (H, W), as the code is written; see `dinov2_gradient_of_head`."""
    predicted, truth = depths(60, 80)
    return gradient_loss(predicted[None], truth[None], truth[None] > 0), _gradient_loss(folder)(predicted, truth)


def dinov2_gradient_of_head(folder: Path) -> tuple[Tensor, Tensor]:
    """Of a batch (B, 1, H, W) as the head gives it, whose first axes that code takes for rows and columns."""
    predicted, truth = depths(16, 1, 60, 80)
    return gradient_loss(predicted[:, 0], truth[:, 0], truth[:, 0] > 0), _gradient_loss(folder)(predicted, truth)


def _gradient_loss(folder: Path) -> nn.Module:
    return definitions(folder / DEPTH_LOSSES / "gradientloss.py", "GradientLoss", LOSSES=registry()).GradientLoss()


def dinov2_silog(folder: Path) -> tuple[Tensor, Tensor]:
    """The first loss of depths, which adds .001 to them under the logarithm, with its weight of 10."""
    predicted, truth = depths(2, 60, 80)
    official = definitions(folder / DEPTH_LOSSES / "sigloss.py", "SigLoss", LOSSES=registry()).SigLoss(loss_weight=10)
    return silog_loss(predicted, truth, truth > 0), official(predicted, truth)
