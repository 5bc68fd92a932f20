"""Joint-embedding methods by name. A new one is a file here and a line in ``METHODS``."""

from equicoherence.methods.method import Method
from equicoherence.methods.simclr import SimCLR, SimCLRConfig, nt_xent_loss
from equicoherence.methods.vicreg import VICReg, VICRegConfig, covariance_loss, variance_loss

METHODS: dict[type, type[Method]] = {VICRegConfig: VICReg, SimCLRConfig: SimCLR}
MethodConfig = VICRegConfig | SimCLRConfig

__all__ = [
    "METHODS",
    "Method",
    "MethodConfig",
    "SimCLR",
    "SimCLRConfig",
    "VICReg",
    "VICRegConfig",
    "covariance_loss",
    "nt_xent_loss",
    "variance_loss",
]
