"""The learner: encoder, split head, method and task in one module, whose forward returns the losses."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from equicoherence.coherence import CoherenceTask, ThetaRegression
from equicoherence.methods import METHODS, Method
from equicoherence.models import Encoder, SplitHead
from equicoherence.paths import PathViews, Views, augmentation, named_path
from equicoherence.training.config import PretrainConfig, plain_values


@dataclass(frozen=True)
class LearnerOutput:
    """losses: named scalars, weighted; their sum is trained. pooled: detached mean tokens (2B, d) of each part of z.

    decoded: (B, T, 3, S, S) in [0, 1], or None.
    """

    losses: dict[str, Tensor]
    pooled: dict[str, Tensor]
    decoded: Tensor | None


class Learner(nn.Module):
    """What DDP or FSDP wraps: one forward of views gives all losses."""

    def __init__(
        self,
        encoder: Encoder,
        head: SplitHead,
        method: Method,
        task: CoherenceTask | ThetaRegression | None = None,
        weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.encoder, self.head, self.method, self.task, self.weight = encoder, head, method, task, weight

    def encode(self, views: Views) -> tuple[Tensor, Tensor | None]:
        """Return z_inv and z_equi (2B, N, .) of view 1, then view 2."""
        return self.head(self.encoder(torch.cat([views.v1, views.v2])))

    def forward(self, views: Views) -> LearnerOutput:
        """Encode both views in one pass; return the method's losses and the task's."""
        z_inv, z_equi = self.encode(views)
        losses = self.method(z_inv.chunk(2))
        pooled, decoded = {"invariant": z_inv.detach().mean(dim=1)}, None
        if self.task is not None and z_equi is not None:
            output = self.task(*z_equi.chunk(2), views)
            losses["reconstruction"] = self.weight * output.loss
            pooled["equivariant"], decoded = z_equi.detach().mean(dim=1), output.decoded
        return LearnerOutput(losses, pooled, decoded)


def build_learner(config: PretrainConfig, *, pretrained: bool | None = None) -> Learner:
    """Build the learner of a configuration, initialised from torch's global generator.

    pretrained: whether the encoder starts from published weights; as the configuration says where None.
    """
    task_config = config.coherence
    encoder = Encoder(
        config.encoder.name,
        config.encoder.args,
        pretrained=config.encoder.pretrained if pretrained is None else pretrained,
        layer=task_config.layer if task_config else None,
    )
    d_equi = task_config.d_equi if task_config else 0
    head = SplitHead(encoder.width, config.d, d_equi, encoder.layer_width)
    method = METHODS[type(config.method)](config.d - d_equi, config.method)  # type: ignore[call-arg]
    if task_config is None:
        return Learner(encoder, head, method)
    if task_config.decoder == "oracle":
        task: CoherenceTask | ThetaRegression = ThetaRegression(d_equi, named_path(config.views.path).parameters)
    else:
        task = CoherenceTask(
            d_equi,
            len(task_config.positions()),
            config.views.size,
            token_grid(encoder, config.views.size),
            decoder=task_config.decoder,
            parts=task_config.parts,
            symmetric=task_config.symmetric,
            mean=encoder.mean.flatten().tolist(),
            std=encoder.std.flatten().tolist(),
        )
    return Learner(encoder, head, method, task, task_config.weight)


def build_views(config: PretrainConfig) -> PathViews:
    """Build the views of a configuration."""
    views = config.views
    return PathViews(
        augmentation(**plain_values(views.first)),
        augmentation(**plain_values(views.second)),
        None if views.path == "none" else named_path(views.path),
        size=views.size,
        positions=config.coherence.positions() if config.coherence else (),
        border=views.border,
    )


@torch.no_grad()
def token_grid(encoder: Encoder, size: int) -> tuple[int, int]:
    """Return the grid of the tokens that the task reads, from one forward of a blank image."""
    training = encoder.training
    features = encoder.eval()(torch.zeros(1, 3, size, size))
    encoder.train(training)
    return features.tapped_grid or features.grid
