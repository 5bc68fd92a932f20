"""The task in a training loop of your own: plain PyTorch, a timm encoder, and a loss that you bring.

python examples/own_loop.py [STEPS]
"""

import sys

import timm
import torch
import torch.nn.functional as F

from equicoherence import CoherenceTask, PathViews
from equicoherence.data import open_images
from equicoherence.paths import SE2, augmentation

STEPS, SIZE, D_INV, D_EQUI = int(sys.argv[1]) if len(sys.argv) > 1 else 20, 64, 64, 64

encoder = timm.create_model("vit_tiny_patch16_224", img_size=SIZE, patch_size=8, depth=4, num_classes=0)
head = torch.nn.Linear(encoder.num_features, D_INV + D_EQUI)

# ours: two views with intermediate states of the path between u and v2 = g(u), and the task that reconstructs them
views = PathViews(augmentation(), augmentation(), SE2(), size=SIZE, positions=(1 / 3, 2 / 3))
task = CoherenceTask(D_EQUI, targets=2, size=SIZE, grid=(8, 8), decoder="render")

optimizer = torch.optim.AdamW([*encoder.parameters(), *head.parameters(), *task.parameters()], 1e-3)
generator = torch.Generator().manual_seed(0)
images = torch.from_numpy(open_images("objects", "train").images).permute(0, 3, 1, 2)  # (N, 3, 64, 64) uint8

for step in range(STEPS):
    batch = images[torch.randint(len(images), (64,), generator=generator)]
    seen = views(batch, generator)
    tokens = head(encoder.forward_features((torch.cat([seen.v1, seen.v2]) - 0.5) / 0.25)[:, 1:])
    invariant, equivariant = tokens.split([D_INV, D_EQUI], dim=-1)

    a, b = F.normalize(invariant.mean(dim=1), dim=-1).chunk(2)  # your loss on the invariant part: here, InfoNCE
    contrast = F.cross_entropy(a @ b.T / 0.2, torch.arange(len(a)))
    reconstruction = task(*equivariant.chunk(2), seen).loss  # ours on the equivariant part

    (contrast + reconstruction).backward()
    optimizer.step()
    optimizer.zero_grad()
    if step % 5 == 0 or step == STEPS - 1:
        print(f"step {step}  contrast {contrast.item():.3f}  reconstruction {reconstruction.item():.3f}", flush=True)
