"""SIE: an invariant and an equivariant part, the latter with a predictor (Garrido, Najman, LeCun, ICML 2023)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equicoherence.methods.gather import gather
from equicoherence.methods.method import Encoded, Method, MethodConfig
from equicoherence.methods.vicreg import covariance_loss, variance_loss
from equicoherence.models.heads import projector


@dataclass(frozen=True)
class SIEConfig(MethodConfig):
    """Equivariant features of z, weights of the five terms, and the expanders; all as published.

    Args:
        d_equi: Number of equivariant features of z.
        invariance: Weight of the distance of the invariant parts.
        equivariance: Weight of the distance of the prediction.
        variance: Weight of the hinge on standard deviations.
        predictor: Weight of the variance of the prediction.
        covariance: Weight of the covariances off the diagonal.
        width: Features of the three layers of each expander; the published 2048-2048-2048 is that of both side by side.
    """

    d_equi: int = 256
    invariance: float = 10.0
    equivariance: float = 4.5
    variance: float = 10.0
    predictor: float = 10.0
    covariance: float = 1.0
    width: int = 1024


class SIE(Method, config=SIEConfig):
    """SIE on the means of the invariant and of the equivariant tokens. It receives theta, a label of the
    transformation.

    As published, with two differences. z is a linear map of the encoder's features, as for the other methods here; SIE
    splits the features themselves. And the predictor's matrix has a part that does not depend on theta, because theta
    need not be a quaternion, and theta = 0 must not give 0.
    """

    told = True

    def __init__(self, d_inv: int, config: SIEConfig, theta_size: int) -> None:
        super().__init__()
        self.config = config
        widths = [config.width] * 3
        self.invariant_expander = projector([d_inv, *widths])
        self.equivariant_expander = projector([config.d_equi, *widths])
        self.predictor = LinearHypernetwork(theta_size, config.width)

    def forward(
        self, student: Encoded, teacher: Encoded | None = None, crops: Encoded | None = None
    ) -> dict[str, Tensor]:
        """Return the terms of `sie_losses` of two views, weighted."""
        equivariant, theta = student.told()
        invariant_a, invariant_b = (self.invariant_expander(view).float() for view in student.summary)
        equivariant_a, equivariant_b = (self.embed(view) for view in equivariant)
        predicted = self.predict(equivariant_a, theta)
        with torch.autocast(predicted.device.type, enabled=False):  # sums of squares need all their digits
            terms = sie_losses((invariant_a, invariant_b), (equivariant_a, equivariant_b), predicted)
        return {name: getattr(self.config, name) * term for name, term in terms.items()}

    def embed(self, z_equi: Tensor) -> Tensor:
        """Return the equivariant expander's embedding (B, width) of z_equi (B, d_equi)."""
        return self.equivariant_expander(z_equi).float()

    def predict(self, embedding: Tensor, theta: Tensor) -> Tensor:
        """Return the embedding (B, width) of the other view, from that of the first and theta (B, P)."""
        return self.predictor(embedding, theta).float()


class LinearHypernetwork(nn.Module):
    """Multiply z (B, D) by a matrix that is linear in theta (B, P): (A_0 + sum_p theta_p A_p) z.

    No matrix of a sample is built: the products theta_p z go through one linear layer. constant: whether there is
    a matrix A_0.
    """

    def __init__(self, theta_size: int, width: int, *, constant: bool = True) -> None:
        super().__init__()
        self.constant = constant
        matrices = theta_size + constant  # A_1 to A_P, then A_0, side by side
        self.matrices = nn.Linear(matrices * width, width, bias=False)

    def forward(self, z: Tensor, theta: Tensor) -> Tensor:
        """Return the products (B, D)."""
        coefficients = F.pad(theta, (0, 1), value=1.0) if self.constant else theta
        return self.matrices((coefficients[:, :, None] * z[:, None, :]).flatten(1))


def sie_losses(
    invariant: tuple[Tensor, Tensor], equivariant: tuple[Tensor, Tensor], predicted: Tensor
) -> dict[str, Tensor]:
    """Return the terms of SIE, not weighted, of both views' embeddings (B, D) and the predicted one of view 2 (B, D).

    invariance: mean squared difference of the invariant embeddings; equivariance: of the predicted and the equivariant
    one of view 2; variance and covariance: VICReg's, over the batches of all processes, of both embeddings side by
    side, (B, 2 D), each view's; predictor: half the variance term of what is predicted, against its collapse. The half
    is the official code's, which weighs this term, as each view's variance, by a half.
    """
    a, b = (gather(torch.cat(parts, dim=1)) for parts in zip(invariant, equivariant))
    return {
        "invariance": F.mse_loss(*invariant),
        "equivariance": F.mse_loss(predicted, equivariant[1]),
        "variance": (variance_loss(a) + variance_loss(b)) / 2,
        "predictor": variance_loss(gather(predicted)) / 2,
        "covariance": covariance_loss(a) + covariance_loss(b),
    }
