"""stable-pretraining's training step, where that package is installed; the benchmark does without it where not.

To have it: ``pip install stable-pretraining==0.1.8`` beside this package. Of it are used

- the classes of `stable_pretraining.methods`, each given the timm model that all arms train: `VICReg`, `DINO`, `iBOT`
  and `DINOv2`, with their own heads, losses, masks and `TeacherStudentWrapper`, called as their docstrings call them.
  Its other way, `Module` with `forward.dino` or `forward.dinov2`, handles local crops and masks only with the vision
  transformers of Hugging Face, so it cannot train the same model;
- `data.FromTorchDataset` around torchvision's `ImageFolder`, and the chain of `data.transforms` of its own examples
  (`RGB` to `ToImage`, in a `MultiViewTransform`), at its own strengths but with the areas of lightly's arms;
- as arms of their own `data.gpu_transforms`, which it recommends on a GPU and which cost less on a CPU, too: the loader
  decodes and resizes, views are made in batches on the device; stacked where its documentation allows, so VICReg's two
  views and all local crops in one call each, the two global views of the others one after the other;
- `callbacks.TeacherStudentCallback`, after each optimiser step.

Its examples run in a Lightning Trainer. A Trainer cannot take a step by turns with other arms, so the loop here does
what `Module.training_step` does, without Lightning's part of it: forward in autocast, backward, a fused AdamW,
gradients to none, and the callback. Nothing is logged, saved or probed, there is no learning rate schedule, the epoch
stays 0 (and with it the teacher's temperature and momentum), only images are copied to the device. All that is in its
favour, as are pinned memory, copies that do not wait, and an optimiser that leaves the teacher out. Its
`make_it_fast` is not called, for it changes torch for all arms; in bf16 little of it matters.

What differs in what is computed: its iBOT takes no local crops, so its arms are named for that, and do less; it and
DINOv2 have a second head for patches, apply it to all patches and mask the same share of each image (here the mean
share of the other arms); its DINOv2 has no KoLeo loss and centres by Sinkhorn-Knopp.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import timm
import torch
from step_setting import GLOBAL_AREA, LOCAL_AREA, MASK_PROBABILITY, MASK_RATIO, MOMENTUM, Setting
from torch import Tensor
from torch.utils.data import DataLoader, RandomSampler
from torchvision.datasets import ImageFolder

EPOCHS = 10_000  # in one pass of a loader
JITTER = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.2, "hue": 0.1, "p": 0.8}
Recipe = tuple[int, tuple[float, float], float, float]  # pixels, area, probabilities of blur and solarisation


def installed() -> str | None:
    """Return the version, None where it cannot be imported."""
    found = find_spec("stable_pretraining") is not None
    return importlib.metadata.version("stable-pretraining") if found else None


def part(name: str) -> Any:
    """Import a module of it, and let it log errors alone."""
    importlib.import_module("stable_pretraining").set(verbose="ERROR")
    return importlib.import_module(f"stable_pretraining.{name}")


class StablePretraining:
    """One of its methods in training, with a loader of any number of worker processes.

    on_device: make the views in batches on the device; else image by image in the loader.
    """

    def __init__(self, method: str, setting: Setting, on_device: bool) -> None:
        torch.manual_seed(0)
        self.setting, self.step = setting, 0
        self.multicrop = method != "vicreg"
        self.model = build(method, setting).to(setting.device)
        if setting.compile:
            self.model.compile()
        trained = [p for p in self.model.parameters(with_callbacks=False) if p.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, lr=1e-3, fused=True)
        self.trainer = SimpleNamespace(global_step=0, current_epoch=0, max_epochs=100)  # all the callback reads
        self.teaching = part("callbacks").TeacherStudentCallback()
        self.teaching.on_fit_start(self.trainer, self.model)
        self.augment = views_on_device(method, setting) if on_device else None
        self.dataset = part("data").FromTorchDataset(
            ImageFolder(str(setting.data / "train")),
            names=["image", "label"],
            transform=decoding(setting) if on_device else views_in_loader(method, setting),
        )

    @staticmethod
    def name(method: str, setting: Setting, on_device: bool) -> str:
        """Return what the arm is called."""
        less = " without local crops" if method == "ibot" and setting.crops else ""
        return f"stable-pretraining{less}{', views on the device' if on_device else ''}"

    def steps(self, workers: int) -> Iterator[None]:
        """Take a step at each `next`, from a loader of ``workers`` processes; 0 loads in this one."""
        device, mixed = self.setting.device, self.setting.dtype == "bf16"
        for batch in self._loader(workers):
            if self.augment is None:
                views = [view["image"].to(device, non_blocking=True) for view in batch["views"]]
            else:
                views = self.augment(batch["image"].to(device, non_blocking=True))
            with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
                loss = self.loss(views)
            loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad()
            self.step += 1
            self.trainer.global_step = self.step
            self.teaching.on_train_batch_end(self.trainer, self.model, {}, batch, self.step - 1)
            yield

    def loss(self, views: list[Tensor]) -> Tensor:
        """Return the loss of a list of views, the two global ones first."""
        if not self.multicrop:
            return self.model(*views).loss
        local = {"local_views": views[2:]} if views[2:] else {}
        return self.model(global_views=views[:2], **local).loss

    def _loader(self, workers: int) -> DataLoader:
        endless = RandomSampler(self.dataset, num_samples=len(self.dataset) * EPOCHS)
        return DataLoader(
            self.dataset,
            batch_size=self.setting.batch,
            sampler=endless,
            drop_last=True,
            num_workers=workers,
            pin_memory=self.setting.device.type == "cuda",
        )


def build(method: str, setting: Setting) -> Any:
    """Return its class of the method around the timm model, with the sizes that all arms have."""
    methods = part("methods")
    args = {**setting.timm_args(method), "dynamic_img_size": method != "ibot"}  # its iBOT adds positions itself
    encoder = timm.create_model(setting.model, num_classes=0, **args)
    if method == "vicreg":
        return methods.VICReg(encoder, projector_dims=(setting.projector,) * 3)
    hidden, bottleneck, prototypes = setting.head
    sizes = {"projector_hidden_dim": hidden, "projector_bottleneck_dim": bottleneck, "ema_decay_start": MOMENTUM}
    if method == "dino":
        return methods.DINO(encoder, n_prototypes=prototypes, **sizes)
    return (methods.iBOT if method == "ibot" else methods.DINOv2)(
        encoder,
        n_cls_prototypes=prototypes,
        n_patch_prototypes=prototypes,
        mask_ratio=MASK_PROBABILITY * sum(MASK_RATIO) / 2,
        image_size=setting.size,
        **sizes,
    )


def recipes(method: str, setting: Setting) -> list[Recipe]:
    """Return its recipe of each view: both global ones, then the local ones where the method takes them."""
    area = GLOBAL_AREA[method]
    views: list[Recipe] = [(setting.size, area, 1.0, 0.0), (setting.size, area, 0.1, 0.2)]
    if method in ("dino", "dinov2"):
        views += [(setting.crop_size, LOCAL_AREA[method], 0.5, 0.0)] * setting.crops
    return views


def views_in_loader(method: str, setting: Setting) -> Any:
    """Return its transform of one image into all views."""
    transforms, normalization = part("data.transforms"), part("data").static.ImageNet

    def chain(size: int, area: tuple[float, float], blur: float, solarize: float) -> Any:
        solarization = [transforms.RandomSolarize(threshold=0.5, p=solarize)] if solarize else []
        return transforms.Compose(
            transforms.RGB(),
            transforms.RandomResizedCrop((size, size), scale=area),
            transforms.ColorJitter(**JITTER),
            transforms.RandomGrayscale(p=0.2),
            transforms.PILGaussianBlur(p=blur),
            *solarization,
            transforms.RandomHorizontalFlip(p=0.5),
            transforms.ToImage(**normalization),
        )

    return transforms.MultiViewTransform([chain(*recipe) for recipe in recipes(method, setting)])


def decoding(setting: Setting) -> Any:
    """Return its transform of an image that is augmented on the device: resize, no more."""
    transforms = part("data.transforms")
    size = (setting.source, setting.source)
    return transforms.Compose(transforms.Resize(size), transforms.ToImage(rgb=True, scale=True))


def views_on_device(method: str, setting: Setting) -> Callable[[Tensor], list[Tensor]]:
    """Return its transform of a batch of images into all views."""
    transforms, normalization = part("data.gpu_transforms"), part("data").static.ImageNet

    def chain(size: int, area: tuple[float, float], blur: float, solarize: float) -> Any:
        augmentations = [
            transforms.GPURandomResizedCrop(size=size, scale=area),
            transforms.GPURandomHorizontalFlip(p=0.5),
            transforms.GPUColorJitter(**JITTER),
            transforms.GPURandomGrayscale(p=0.2),
            transforms.GPUGaussianBlur(kernel_size=23, p=blur),
        ]
        solarization = [transforms.GPURandomSolarize(p=solarize)] if solarize else []
        return transforms.GPUCompose([*augmentations, *solarization, transforms.GPUNormalize(**normalization)])

    views = recipes(method, setting)
    if method == "vicreg":  # symmetric, as its documentation has it on a GPU: one chain for both
        size, area, _, _ = views[0]
        makers = [transforms.StackedMultiView(chain(size, area, 0.5, 0.0), n_views=2)]
    else:
        makers = [transforms.MultiView([chain(*recipe) for recipe in views[:2]])]
        if views[2:]:
            makers.append(transforms.StackedMultiView(chain(*views[2]), n_views=len(views[2:])))
    makers = [maker.to(setting.device) for maker in makers]
    return lambda images: [view["image"] for maker in makers for view in maker({"image": images})["views"]]
