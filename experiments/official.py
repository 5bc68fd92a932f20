"""Are our losses and metrics those of the official code? Both are computed on the same inputs.

    python experiments/official.py [--sie DIR] [--vicreg DIR] [--dino DIR] [--dinov2 DIR] [--davis DIR]

Each DIR is a checkout of the repository named in `ORIGINALS`; what is not given is skipped, and said. Nothing of theirs
is part of this repository. Exit status 1 where a comparison is further apart than ``BOUND``.

What has no function of its own there is not compared here: SIE's PRE, MRR and H@k and DINO's and CropMAE's propagation
are scripts that run as a whole, on CUDA and on their data. Tests hold ours against slow references of those protocols.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace

import torch
import torch.distributed as dist
from torch import Tensor, nn

from equicoherence.downstream.depth.losses import gradient_loss
from equicoherence.downstream.video.jf import contour_accuracy, region_similarity
from equicoherence.methods.dino import dino_loss
from equicoherence.methods.dinov2 import koleo_loss
from equicoherence.methods.sie import SIEConfig, sie_losses
from equicoherence.methods.targets import Targets
from equicoherence.methods.vicreg import VICRegConfig, covariance_loss, variance_loss
from equicoherence.models import PrototypeHead

ORIGINALS = {
    "sie": "facebookresearch/SIE",
    "vicreg": "facebookresearch/vicreg",
    "dino": "facebookresearch/dino",
    "dinov2": "facebookresearch/dinov2",
    "davis": "davisvideochallenge/davis2017-evaluation",
}
BOUND = 1e-5
"""Largest difference of two numbers, in parts of the larger one, or of 1 where both are smaller."""


@dataclass(frozen=True)
class Comparison:
    """what: compared, in words. original: key of `ORIGINALS`. file: of the original, where its code is.
    compute: takes the folder and returns our numbers and theirs."""

    what: str
    original: str
    file: str
    compute: Callable[[Path], tuple[Tensor, Tensor]]


def main(arguments: list[str] | None = None) -> int:
    """Compare, print a line each, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, repository in ORIGINALS.items():
        parser.add_argument(f"--{name}", type=Path, metavar="DIR", help=f"a checkout of {repository}")
    given = vars(parser.parse_args(arguments))
    apart = 0
    for comparison in COMPARISONS:
        folder, repository = given[comparison.original], ORIGINALS[comparison.original]
        if folder is None:
            why = f"give --{comparison.original} DIR, a checkout of {repository}"
            print(f"{comparison.what}: skipped; {why}")
            continue
        if not (folder / comparison.file).is_file():
            parser.error(f"--{comparison.original} {folder} has no {comparison.file}; give a checkout of {repository}")
        try:
            ours, theirs = comparison.compute(folder.resolve())
        except ModuleNotFoundError as error:
            print(f"{comparison.what}: skipped; {comparison.file} needs the module {error.name}, install it")
            continue
        difference = relative_difference(ours, theirs)
        verdict = "equal" if difference <= BOUND else "NOT EQUAL"
        apart += difference > BOUND
        print(f"{comparison.what}: {verdict}, {difference:.1e} apart ({ours.numel()} numbers)")
    return 1 if apart else 0


def relative_difference(ours: Tensor, theirs: Tensor) -> float:
    """Return the largest difference in parts of the larger number, or of 1 where both are smaller."""
    a, b = ours.detach().double().flatten(), theirs.detach().double().flatten()
    return float(((a - b).abs() / torch.maximum(a.abs(), b.abs()).clamp_min(1)).max())


@contextmanager
def importing(folder: Path) -> Iterator[None]:
    """Let modules be imported from a folder, which are forgotten afterwards: several originals have a ``utils``."""
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(folder)):
                del sys.modules[name]


def file_alone(path: Path, name: str = "theirs") -> ModuleType:
    """Return the module of a file, without the packages that it is in."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def one_process() -> Iterator[None]:
    """Make a group of this process alone, for code that gathers from all processes."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        yield
    finally:
        dist.destroy_process_group()


def bare(kind: type[nn.Module], **attributes: object) -> nn.Module:
    """Return a module of a class whose constructor is not called, with the attributes that its forward needs."""
    module = kind.__new__(kind)
    nn.Module.__init__(module)
    for name, value in attributes.items():
        setattr(module, name, value)
    return module


class Halved(nn.Module):
    """A predictor: half of the embedding, whatever is told."""

    def forward(self, embedding: Tensor, theta: Tensor) -> Tensor:
        return embedding / 2


class NoEvaluator(nn.Module):
    """What SIE evaluates while it trains: nothing."""

    def forward(self, *features: object) -> tuple[float, dict]:
        return 0.0, {}


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def sie(folder: Path) -> tuple[Tensor, Tensor]:
    config, (batch, width) = SIEConfig(), (32, 24)
    # view 2 is near view 1, and both spread less than the hinge of the variance
    x = 0.6 * random(batch, 2 * width)
    y = x + 0.2 * random(batch, 2 * width, seed=1)
    with importing(folder):
        models = importlib.import_module("src.models")
        models.std_losses = lambda stats, *rest, **more: stats  # what it logs beside the loss
        settings = SimpleNamespace(
            batch_size=batch,
            sim_coeff=config.invariance,
            equi_factor=config.equivariance / config.invariance,
            std_coeff=config.variance,
            cov_coeff=config.covariance,
            predictor_type="mlp",
        )
        official = bare(
            models.SIE,
            args=settings,
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


def vicreg(folder: Path) -> tuple[Tensor, Tensor]:
    config, (batch, width) = VICRegConfig(), (32, 48)
    x = 0.6 * random(batch, width)
    y = x + 0.2 * random(batch, width, seed=1)
    with importing(folder):
        kind = importlib.import_module("main_vicreg").VICReg
        settings = SimpleNamespace(
            batch_size=batch,
            sim_coeff=config.invariance,
            std_coeff=config.variance,
            cov_coeff=config.covariance,
        )
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
    centring = Targets(prototypes, "ema", 0.9)
    ours = []
    with importing(folder):
        official = importlib.import_module("main_dino").DINOLoss(prototypes, views, 0.04, 0.07, 3, 9)
        theirs = []
        with one_process():
            for _ in range(3):  # the centre moves each time
                theirs.append(official(student.flatten(0, 1), teacher.flatten(0, 1), 0))
    for _ in range(3):
        ours.append(dino_loss(student, centring(teacher, torch.tensor(0.04))))
    return torch.stack(ours), torch.stack(theirs)


def dinov2_koleo(folder: Path) -> tuple[Tensor, Tensor]:
    x = random(64, 24)
    return koleo_loss(x), file_alone(folder / "dinov2/loss/koleo_loss.py").KoLeoLoss()(x)


def dinov2_head(folder: Path) -> tuple[Tensor, Tensor]:
    """Logits, and the gradients of the prototypes' lengths and directions."""
    official = file_alone(folder / "dinov2/layers/dino_head.py").DINOHead(12, 30, hidden_dim=20, bottleneck_dim=8)
    ours = PrototypeHead(12, 20, 8, 30, unit=False)
    ours.mlp.load_state_dict(official.mlp.state_dict())
    last = official.last_layer
    with torch.no_grad():
        last.weight_g.mul_(1 + random(30, 1).abs())
        ours.last_layer.weight.copy_(last.weight_v)
        assert ours.last_layer.length is not None
        ours.last_layer.length.copy_(last.weight_g)
    x, weights = random(16, 12, seed=1), random(16, 30, seed=2)
    found = []
    pairs = ((ours, (ours.last_layer.length, ours.last_layer.weight)), (official, (last.weight_g, last.weight_v)))
    for head, parameters in pairs:
        logits = head(x)
        gradients = torch.autograd.grad((logits * weights).sum(), parameters)
        found.append(torch.cat([part.flatten() for part in (logits, *gradients)]))
    return found[0], found[1]


def dinov2_gradient(folder: Path) -> tuple[Tensor, Tensor]:
    """Of one map (H, W), as the code is written; see `gradient_loss` on what its head gives it."""
    packages = {name: ModuleType(name) for name in ("theirs", "theirs.models", "theirs.models.losses")}
    for package in packages.values():
        package.__path__ = []  # type: ignore[attr-defined]
    builder = ModuleType("theirs.models.builder")
    builder.LOSSES = SimpleNamespace(register_module=lambda: lambda kind: kind)  # type: ignore[attr-defined]
    stand_ins = {**packages, builder.__name__: builder}
    sys.modules.update(stand_ins)
    try:
        path = folder / "dinov2/eval/depth/models/losses/gradientloss.py"
        kind = file_alone(path, "theirs.models.losses.gradientloss").GradientLoss
    finally:
        for name in stand_ins:
            del sys.modules[name]
    predicted, truth = (0.5 + 5 * torch.rand(60, 80, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    truth[random(60, 80, seed=2) > 1] = 0
    return gradient_loss(predicted[None], truth[None], truth[None] > 0), kind()(predicted, truth)


def davis(folder: Path) -> tuple[Tensor, Tensor]:
    """J and F of frames with round masks, one of which is empty."""
    y, x = torch.meshgrid(torch.arange(60), torch.arange(90), indexing="ij")
    truth = torch.stack([(y - 30) ** 2 + (x - 20 - 8 * i) ** 2 < 200 for i in range(5)])
    predicted = torch.stack([(y - 28) ** 2 + (x - 24 - 7 * i) ** 2 < 260 for i in range(5)])
    predicted[3] = False
    with importing(folder):
        metrics = importlib.import_module("davis2017.metrics")
        pair = truth.numpy(), predicted.numpy()
        theirs = [torch.as_tensor(score(*pair)) for score in (metrics.db_eval_iou, metrics.db_eval_boundary)]
    ours = [region_similarity(predicted, truth), contour_accuracy(predicted, truth)]
    return torch.cat(ours), torch.cat(theirs)


COMPARISONS = (
    Comparison("SIE's loss", "sie", "src/models.py", sie),
    Comparison("VICReg's loss", "vicreg", "main_vicreg.py", vicreg),
    Comparison("DINO's loss with its moving centre", "dino", "main_dino.py", dino),
    Comparison("KoLeo", "dinov2", "dinov2/loss/koleo_loss.py", dinov2_koleo),
    Comparison("DINOv2's head, and gradients of its last layer", "dinov2", "dinov2/layers/dino_head.py", dinov2_head),
    Comparison(
        "DINOv2's gradient loss of depths",
        "dinov2",
        "dinov2/eval/depth/models/losses/gradientloss.py",
        dinov2_gradient,
    ),
    Comparison("DAVIS' J and F", "davis", "davis2017/metrics.py", davis),
)

if __name__ == "__main__":
    sys.exit(main())
