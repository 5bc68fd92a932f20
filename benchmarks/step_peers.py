"""lightly's training step: its transforms, heads, losses, masks and EMA, called as its documented examples call them.

Where its examples differ from each other, so does this: VICReg encodes the two views one after the other, DINO each
of its views by itself, iBOT and DINOv2 all global views in one pass and all local ones in another. It gets what its
examples leave out but makes it faster: a fused AdamW, as ours, and on a GPU pinned memory and copies that do not wait.
"""

from __future__ import annotations

import abc
import copy
from collections.abc import Iterator, Sequence
from typing import TypeVar

import timm
import torch
from lightly.data import LightlyDataset
from lightly.loss import DINOLoss, IBOTPatchLoss, KoLeoLoss, VICRegLoss
from lightly.models.modules import (
    DINOProjectionHead,
    DINOv2ProjectionHead,
    MaskedVisionTransformerTIMM,
)
from lightly.models.modules.heads import VICRegProjectionHead
from lightly.models.utils import random_block_mask, update_momentum
from lightly.transforms import DINOTransform, IBOTTransform, VICRegTransform
from lightly.utils.scheduler import cosine_schedule, linear_warmup_schedule
from step_setting import (
    GLOBAL_AREA,
    LOCAL_AREA,
    MASK_PROBABILITY,
    MASK_RATIO,
    MOMENTUM,
    TEMPERATURES,
    Setting,
)
from torch import Tensor, nn
from torch.utils.data import DataLoader, RandomSampler

M = TypeVar("M", bound=nn.Module)
TOTAL = 10_000  # steps of the schedules


class Peer(nn.Module, abc.ABC):
    """What lightly's examples build: the loss of a step, and what follows its optimiser step."""

    @abc.abstractmethod
    def forward(self, views: list[Tensor], step: int) -> Tensor:
        """Return the loss of a list of views."""

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """Move the teachers, if any."""
        momentum = cosine_schedule(step, TOTAL, MOMENTUM, 1.0)
        for student, teacher in self.pairs():
            update_momentum(student, teacher, m=momentum)

    def pairs(self) -> Sequence[tuple[nn.Module, nn.Module]]:
        """Return each student and its teacher."""
        return ()


class PeerVICReg(Peer):
    """lightly's VICReg."""

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self.backbone = timm.create_model(setting.model, num_classes=0, **setting.timm_args("vicreg"))
        width = setting.projector
        self.head = VICRegProjectionHead(self.backbone.num_features, width, width)  # type: ignore[arg-type]
        self.criterion = VICRegLoss()

    def forward(self, views: list[Tensor], step: int) -> Tensor:
        first, second = (self.head(self.backbone(view).flatten(start_dim=1)) for view in views)
        return self.criterion(first, second)


class PeerDINO(Peer):
    """lightly's DINO."""

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        args = {**setting.timm_args("dino"), "dynamic_img_size": True}
        backbone = timm.create_model(setting.model, num_classes=0, **args)
        head, teacher_head = (DINOProjectionHead(backbone.num_features, *setting.head) for _ in range(2))  # type: ignore[arg-type]
        self.student = nn.Sequential(backbone, head)
        self.teacher = frozen(nn.Sequential(copy.deepcopy(backbone), teacher_head))
        self.criterion = DINOLoss(setting.head[2])

    def forward(self, views: list[Tensor], step: int) -> Tensor:
        with torch.no_grad():
            targets = [self.teacher(view) for view in views[:2]]
        return self.criterion(targets, [self.student(view) for view in views], teacher_temp=temperature(step))

    def pairs(self) -> Sequence[tuple[nn.Module, nn.Module]]:
        return [(self.student, self.teacher)]


class PeerIBOT(Peer):
    """lightly's iBOT."""

    head_class: type[DINOProjectionHead] | type[DINOv2ProjectionHead] = DINOProjectionHead

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        args = {**setting.timm_args("ibot"), "dynamic_img_size": True}
        transformer = timm.create_model(setting.model, num_classes=0, **args)
        self.student = MaskedVisionTransformerTIMM(transformer, antialias=False, pos_embed_initialization="skip")  # type: ignore[arg-type]
        self.teacher = frozen(copy.deepcopy(self.student))
        self.head, teacher_head = (self.head_class(transformer.num_features, *setting.head) for _ in range(2))  # type: ignore[arg-type]
        self.teacher_head = frozen(teacher_head)
        prototypes = setting.head[2]
        self.class_criterion, self.patch_criterion = DINOLoss(prototypes), IBOTPatchLoss(prototypes)

    def forward(self, views: list[Tensor], step: int) -> Tensor:
        return self.losses(views, step)[0]

    def losses(self, views: list[Tensor], step: int) -> tuple[Tensor, Tensor]:
        """Return the loss, and the student's class tokens of the global views."""
        both, local = torch.cat(views[:2]), torch.cat(views[2:])
        height, width = self.teacher.vit.patch_embed.grid_size
        blocks = random_block_mask((len(both), height, width), MASK_PROBABILITY, *MASK_RATIO, device=both.device)
        mask = both.new_zeros((len(both), self.teacher.sequence_length), dtype=torch.bool)
        mask[:, 1:] = blocks.flatten(start_dim=1)
        with torch.no_grad():
            features = self.teacher.encode(both)
            targets, patch_targets = self.teacher_head(features[:, 0]), self.teacher_head(features[mask])
        features = self.student.encode(both, mask=mask)
        outputs, patches = self.head(features[:, 0]), self.head(features[mask])
        outputs = torch.cat([outputs, self.head(self.student.encode(local)[:, 0])])
        warm = temperature(step)
        loss = self.class_criterion(targets.chunk(2), outputs.chunk(len(views)), teacher_temp=warm)
        return loss + self.patch_criterion(patch_targets, patches, blocks, teacher_temp=warm), features[:, 0]

    def pairs(self) -> Sequence[tuple[nn.Module, nn.Module]]:
        return [(self.student, self.teacher), (self.head, self.teacher_head)]


class PeerDINOv2(PeerIBOT):
    """lightly's DINOv2, heads shared as in its example."""

    head_class = DINOv2ProjectionHead

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.koleo = KoLeoLoss()

    def forward(self, views: list[Tensor], step: int) -> Tensor:
        loss, tokens = self.losses(views, step)
        return loss + 0.1 * torch.stack([self.koleo(view) for view in tokens.chunk(2)]).sum()


PEERS: dict[str, type[Peer]] = {"vicreg": PeerVICReg, "dino": PeerDINO, "ibot": PeerIBOT, "dinov2": PeerDINOv2}


class Lightly:
    """A peer in training, with a loader of any number of worker processes."""

    def __init__(self, method: str, setting: Setting) -> None:
        torch.manual_seed(0)
        self.setting, self.step = setting, 0
        self.model = PEERS[method](setting).to(setting.device)
        if setting.compile:
            self.model.compile()
        trained = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, lr=1e-3, fused=True)
        folder = setting.data / "train"
        self.dataset = LightlyDataset(
            str(folder if folder.is_dir() else setting.data),
            transform=transform(method, setting),  # type: ignore[arg-type]
        )

    def steps(self, workers: int) -> Iterator[None]:
        """Take a step at each `next`, from a loader of ``workers`` processes; 0 loads in this one."""
        device, mixed = self.setting.device, self.setting.dtype == "bf16"
        for views, *_ in self._loader(workers):
            views = [view.to(device, non_blocking=True) for view in views]
            with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
                loss = self.model(views, self.step)
            loss.backward()
            for group in self.optimizer.param_groups:
                group["weight_decay"] = cosine_schedule(self.step, TOTAL, 0.04, 0.4)
            self.optimizer.step()
            self.optimizer.zero_grad()
            self.model.follow(self.step)
            self.step += 1
            yield

    def _loader(self, workers: int) -> DataLoader:
        endless = RandomSampler(self.dataset, num_samples=len(self.dataset) * TOTAL)  # epoch after epoch
        return DataLoader(
            self.dataset,  # type: ignore[arg-type]
            batch_size=self.setting.batch,
            sampler=endless,
            drop_last=True,
            num_workers=workers,
            pin_memory=self.setting.device.type == "cuda",
        )


def transform(method: str, setting: Setting) -> VICRegTransform | DINOTransform | IBOTTransform:
    """Return lightly's own transform of the method, at its own strengths."""
    area = GLOBAL_AREA[method]
    if method == "vicreg":
        return VICRegTransform(input_size=setting.size, min_scale=area[0])
    return (IBOTTransform if method == "ibot" else DINOTransform)(
        global_crop_size=setting.size,
        global_crop_scale=area,
        local_crop_size=setting.crop_size,
        local_crop_scale=LOCAL_AREA[method],
        n_local_views=setting.crops,
    )


def temperature(step: int) -> float:
    """Return the teacher's temperature."""
    return linear_warmup_schedule(step, TOTAL // 10, *TEMPERATURES)


def frozen(module: M) -> M:
    """Let no gradient reach a teacher, and drop nothing in it. Its head cannot be copied: it has weights of its own."""
    return module.requires_grad_(False).eval()
