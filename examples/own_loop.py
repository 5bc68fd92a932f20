"""The task in a plain PyTorch loop, with your own network and loss. The lines of the task are marked # task.

python examples/own_loop.py [STEPS] [DATA]    DATA: a folder of images, tar shards, an archive, or objects
"""

import sys

import torch
import torch.nn.functional as F
from torch import nn

from equicoherence import CoherenceTask, Loader, PathViews, batch_indices, evaluate, open_images
from equicoherence.paths import SE2, augmentation

STEPS, DATA = int(sys.argv[1]) if len(sys.argv) > 1 else 100, sys.argv[2] if len(sys.argv) > 2 else "objects"
SIZE, BATCH, D_INV, D_EQUI = 32, 64, 128, 128  # pixels of a view, images of a step, features of either part
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def halve(channels: int, to: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, to, 3, stride=2, padding=1), nn.BatchNorm2d(to), nn.ReLU())


torch.manual_seed(0)
generator = torch.Generator().manual_seed(0)
network = nn.Sequential(halve(3, 64), halve(64, 128), halve(128, 256), nn.Flatten(2)).to(DEVICE)
head = nn.Linear(256, D_INV + D_EQUI).to(DEVICE)  # task: z of each token

views = PathViews(augmentation(), augmentation(), SE2(), size=SIZE)  # task: v2 = g(u), with two states on the way to it
task = CoherenceTask(D_EQUI, targets=2, size=SIZE, grid=(4, 4), decoder="render").to(DEVICE)  # task

learned = nn.ModuleList([network, head, task])  # task: its decoder learns too
optimizer = torch.optim.AdamW(learned.parameters(), 1e-3)
source = open_images(DATA, "train")
order = (batch_indices(len(source), BATCH, seed=0, step=step) for step in range(STEPS))

for step, batch in enumerate(Loader(source, 2 * SIZE).batches(order)):  # 64 pixels: crops have something to show
    batch = batch.to(DEVICE)
    seen = views(batch.images, generator, batch.aspect)
    tokens = network(torch.cat([seen.v1, seen.v2]) - 0.5).transpose(1, 2)  # (2B, 16, 256)
    invariant, equivariant = head(tokens).split([D_INV, D_EQUI], dim=-1)  # task: z = [z_inv | z_equi]

    a, b = F.normalize(invariant.mean(dim=1), dim=-1).chunk(2)
    contrast = F.cross_entropy(a @ b.T / 0.2, torch.arange(len(a), device=DEVICE))  # your loss; here, InfoNCE
    reconstruction = task(*equivariant.chunk(2), seen).loss  # task

    optimizer.zero_grad()
    (contrast + reconstruction).backward()  # task: lambda = 1
    optimizer.step()
    if step % 10 == 0 or step == STEPS - 1:
        print(f"step {step}  contrast {contrast.item():.3f}  reconstruction {reconstruction.item():.3f}", flush=True)

few = {"transformations": ["rotation"], "borders": ["content"], "probes": ["linear"], "train": 500, "test": 200}
tasks = {"transformation": few, "knn": {"limit": 500}}  # what the network keeps, and what random weights of it would
evaluate(network[:3], tasks=list(tasks), settings=tasks, data=DATA, size=SIZE, mean=(0.5, 0.5, 0.5))
