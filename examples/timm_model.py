"""A timm classifier in its usual loop, with nothing of ours but the paths and the task. Its lines are marked # task.

python examples/timm_model.py [STEPS] [DATA]    DATA: a folder with a subfolder of images per class; default: made up
"""

import sys
from typing import Any

import timm
import torch
import torch.nn.functional as F
from timm.data import resolve_model_data_config
from torch import nn
from torch.utils.data import DataLoader, RandomSampler, TensorDataset
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from equicoherence import CoherenceTask
from equicoherence.paths import SE2, PathViews, augmentation

STEPS, FOLDER = int(sys.argv[1]) if len(sys.argv) > 1 else 100, sys.argv[2] if len(sys.argv) > 2 else None
SIZE, BATCH, D_EQUI = 64, 32, 128  # pixels of a view, images of a step, features of z_equi
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

torch.manual_seed(0)
generator = torch.Generator().manual_seed(0)
if FOLDER:  # uint8 images, a little larger than the views; nothing more: the views are made on the device
    data = ImageFolder(FOLDER, v2.Compose([v2.Resize(SIZE * 3 // 2), v2.CenterCrop(SIZE * 3 // 2), v2.PILToTensor()]))
    classes = len(data.classes)
else:  # ten classes of smooth color fields, so that the example needs no file
    classes, labels, noise = 10, torch.arange(1000) % 10, torch.rand(1010, 3, 6, 6)
    fields = F.interpolate(noise[labels] + noise[10:], SIZE * 3 // 2, mode="bicubic").clamp(0, 2)
    data = TensorDataset((fields * 127.5).byte(), labels)

model: Any = timm.create_model("resnet18", num_classes=classes).to(DEVICE)  # or another; transformers want img_size
config, last = resolve_model_data_config(model), model.feature_info[-1]
normalise = v2.Normalize(config["mean"], config["std"])
side = SIZE // last["reduction"]

views = PathViews(augmentation(), augmentation(), SE2(), size=SIZE)  # task: v2 = g(u), with two states on the way to it
equivariant = nn.Linear(last["num_chs"], D_EQUI).to(DEVICE)  # task: z_equi of each token
task = CoherenceTask(D_EQUI, targets=2, size=SIZE, grid=(side, side), decoder="render").to(DEVICE)  # task
learned = nn.ModuleList([model, equivariant, task])  # task: the last two
optimizer = torch.optim.AdamW(learned.parameters(), 1e-3)
sampler = RandomSampler(data, replacement=True, num_samples=STEPS * BATCH)

for step, (images, labels) in enumerate(DataLoader(data, BATCH, sampler=sampler)):
    seen = views(images.to(DEVICE), generator)
    final, (maps,) = model.forward_intermediates(normalise(torch.cat([seen.v1, seen.v2])), 1, norm=True)
    z1, z2 = equivariant(maps.flatten(2).transpose(1, 2)).chunk(2)  # task: (B, h * w, D_EQUI) of each view

    classify = F.cross_entropy(model.forward_head(final), labels.to(DEVICE).repeat(2))
    reconstruction = task(z1, z2, seen).loss  # task
    optimizer.zero_grad()
    (classify + reconstruction).backward()  # task: lambda = 1
    optimizer.step()
    if step % 10 == 0 or step == STEPS - 1:
        print(f"step {step}  classify {classify.item():.3f}  reconstruction {reconstruction.item():.3f}", flush=True)
