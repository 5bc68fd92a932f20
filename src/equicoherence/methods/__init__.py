"""Joint-embedding methods by name. A new one is a file here and a line in ``METHODS``."""

from equicoherence.methods.augself import AugSelf, AugSelfConfig
from equicoherence.methods.barlow import BarlowTwins, BarlowTwinsConfig
from equicoherence.methods.byol import BYOL, BYOLConfig
from equicoherence.methods.dino import DINO, DINOConfig
from equicoherence.methods.dinov2 import DINOv2, DINOv2Config
from equicoherence.methods.equimod import EquiMod, EquiModConfig
from equicoherence.methods.essl import ESSL, ESSLConfig
from equicoherence.methods.ibot import IBOT, IBOTConfig
from equicoherence.methods.lejepa import LeJEPA, LeJEPAConfig
from equicoherence.methods.method import Encoded, Method
from equicoherence.methods.mocov3 import MoCoV3, MoCoV3Config
from equicoherence.methods.sie import SIE, SIEConfig
from equicoherence.methods.simclr import SimCLR, SimCLRConfig, nt_xent_loss
from equicoherence.methods.simsiam import SimSiam, SimSiamConfig
from equicoherence.methods.vicreg import VICReg, VICRegConfig, covariance_loss, variance_loss

METHODS: dict[type, type[Method]] = {
    VICRegConfig: VICReg,
    SimCLRConfig: SimCLR,
    BYOLConfig: BYOL,
    BarlowTwinsConfig: BarlowTwins,
    SimSiamConfig: SimSiam,
    MoCoV3Config: MoCoV3,
    LeJEPAConfig: LeJEPA,
    DINOConfig: DINO,
    IBOTConfig: IBOT,
    DINOv2Config: DINOv2,
    SIEConfig: SIE,
    EquiModConfig: EquiMod,
    AugSelfConfig: AugSelf,
    ESSLConfig: ESSL,
}
MethodConfig = (
    VICRegConfig
    | SimCLRConfig
    | BYOLConfig
    | BarlowTwinsConfig
    | SimSiamConfig
    | MoCoV3Config
    | LeJEPAConfig
    | DINOConfig
    | IBOTConfig
    | DINOv2Config
    | SIEConfig
    | EquiModConfig
    | AugSelfConfig
    | ESSLConfig
)

__all__ = [
    "AugSelf",
    "AugSelfConfig",
    "BYOL",
    "BYOLConfig",
    "BarlowTwins",
    "BarlowTwinsConfig",
    "DINO",
    "DINOConfig",
    "DINOv2",
    "DINOv2Config",
    "ESSL",
    "ESSLConfig",
    "Encoded",
    "EquiMod",
    "EquiModConfig",
    "IBOT",
    "IBOTConfig",
    "LeJEPA",
    "LeJEPAConfig",
    "METHODS",
    "Method",
    "MethodConfig",
    "MoCoV3",
    "MoCoV3Config",
    "SIE",
    "SIEConfig",
    "SimCLR",
    "SimCLRConfig",
    "SimSiam",
    "SimSiamConfig",
    "VICReg",
    "VICRegConfig",
    "covariance_loss",
    "nt_xent_loss",
    "variance_loss",
]
