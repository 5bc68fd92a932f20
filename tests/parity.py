"""Hold a loss against a reference: value and gradient."""

from collections.abc import Sequence

import torch
from torch import Tensor


def assert_agree(ours: Tensor, reference: Tensor, inputs: Sequence[Tensor], tolerance: float = 1e-8) -> None:
    """Assert that values and gradients with respect to ``inputs`` agree, and that there is a gradient to speak of."""
    assert ours.shape == reference.shape
    assert abs(ours - reference) < tolerance
    for found, expected in zip(torch.autograd.grad(ours, inputs), torch.autograd.grad(reference, inputs)):
        assert expected.abs().max() > 1e-4
        assert (found - expected).abs().max() < tolerance


def leaves(*shapes: tuple[int, ...], seed: int = 0) -> list[Tensor]:
    """Return float64 Gaussian tensors that want a gradient."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, dtype=torch.float64, generator=generator).requires_grad_() for shape in shapes]
