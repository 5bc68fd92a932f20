"""lightly's VICReg, no trainer, with our views and task added. The lines of the task are marked # task.

python examples/lightly_vicreg.py [STEPS] [DATA]    DATA: a folder of images, tar shards, an archive, or objects
"""

import sys

import torch
from lightly.loss import VICRegLoss
from lightly.models.modules.heads import VICRegProjectionHead
from torch import nn
from torchvision.models import resnet18

from equicoherence import CoherenceTask, Loader, PathViews, batch_indices, open_images
from equicoherence.paths import SE2, augmentation

STEPS, DATA = int(sys.argv[1]) if len(sys.argv) > 1 else 100, sys.argv[2] if len(sys.argv) > 2 else "objects"
SIZE, BATCH, D_INV, D_EQUI = 32, 64, 128, 128  # pixels of a view, images of a step, features of either part
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

torch.manual_seed(0)
generator = torch.Generator().manual_seed(0)
backbone = nn.Sequential(*list(resnet18().children())[:-4])  # to stride 8, for small views: (B, 128, 4, 4)
head = nn.Linear(128, D_INV + D_EQUI)  # task: z of each token
projection_head = VICRegProjectionHead(D_INV, hidden_dim=512, output_dim=512)
criterion = VICRegLoss(lambda_param=1, mu_param=1, nu_param=1 / 25)  # 25, 25, 1 over 25: the task then weighs 1

views = PathViews(augmentation(), augmentation(), SE2(), size=SIZE)  # task: v2 = g(u), with two states on the way to it
task = CoherenceTask(D_EQUI, targets=2, size=SIZE, grid=(4, 4), decoder="render")  # task

learned = nn.ModuleList([backbone, head, projection_head, task]).to(DEVICE)  # task: its decoder learns too
optimizer = torch.optim.AdamW(learned.parameters(), 1e-3)
source = open_images(DATA, "train")
order = (batch_indices(len(source), BATCH, seed=0, step=step) for step in range(STEPS))

for step, batch in enumerate(Loader(source, 2 * SIZE).batches(order)):  # 64 pixels: crops have something to show
    batch = batch.to(DEVICE)
    seen = views(batch.images, generator, batch.aspect)
    tokens = backbone((torch.cat([seen.v1, seen.v2]) - 0.5) / 0.25).flatten(2).transpose(1, 2)  # (2B, 16, 128)
    invariant, equivariant = head(tokens).split([D_INV, D_EQUI], dim=-1)  # task: z = [z_inv | z_equi]

    vicreg = criterion(*projection_head(invariant.mean(dim=1)).chunk(2))
    reconstruction = task(*equivariant.chunk(2), seen).loss  # task

    optimizer.zero_grad()
    (vicreg + reconstruction).backward()  # task: lambda = 1
    optimizer.step()
    if step % 10 == 0 or step == STEPS - 1:
        print(f"step {step}  vicreg {vicreg.item():.3f}  reconstruction {reconstruction.item():.3f}", flush=True)
