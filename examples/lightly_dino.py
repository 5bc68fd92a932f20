"""lightly's DINO with multi-crop, no trainer, our views and task added. The lines of the task are marked # task.

python examples/lightly_dino.py [STEPS] [DATA]    DATA: a folder of images, tar shards, an archive, or objects
"""

import copy
import sys

import timm
import torch
from lightly.loss import DINOLoss
from lightly.models.modules import DINOProjectionHead
from lightly.models.utils import update_momentum
from lightly.utils.scheduler import cosine_schedule
from torch import nn

from equicoherence import CoherenceTask, Loader, PathViews, batch_indices, open_images
from equicoherence.paths import SE2, augmentation

STEPS, DATA = int(sys.argv[1]) if len(sys.argv) > 1 else 100, sys.argv[2] if len(sys.argv) > 2 else "objects"
SIZE, BATCH, D_EQUI = 32, 64, 128  # pixels of a view, images of a step, features of z_equi
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
torch.manual_seed(0)
generator = torch.Generator().manual_seed(0)
sizes = {"img_size": SIZE, "patch_size": 8, "depth": 4, "dynamic_img_size": True}  # 16 patches; 4 of a local crop
backbone = timm.create_model("vit_tiny_patch16_224", num_classes=0, global_pool="", **sizes)  # gives all tokens
head, teacher_head = (DINOProjectionHead(192, 512, 64, 1024, freeze_last_layer=1) for _ in range(2))
teacher_head.load_state_dict(head.state_dict())
teacher = nn.ModuleList([copy.deepcopy(backbone), teacher_head]).requires_grad_(False).to(DEVICE)
criterion = DINOLoss(1024).to(DEVICE)

wide, other = augmentation((0.25, 1.0), blur=1.0), augmentation((0.25, 1.0), blur=0.1, solarize=0.2)
local = augmentation((0.05, 0.25))
views = PathViews(wide, other, SE2(), size=SIZE, crops=4, crop_size=SIZE // 2, crop=local)  # task: v2 = g(u)
equivariant = nn.Linear(192, D_EQUI)  # task: z_equi of each patch token
task = CoherenceTask(D_EQUI, targets=2, size=SIZE, grid=(4, 4), decoder="render")  # task

student = nn.ModuleList([backbone, head, equivariant, task]).to(DEVICE)  # task: the last two
optimizer = torch.optim.AdamW(student.parameters(), 5e-4, weight_decay=0.04)
source = open_images(DATA, "train")
order = (batch_indices(len(source), BATCH, seed=0, step=step) for step in range(STEPS))
for step, batch in enumerate(Loader(source, 2 * SIZE).batches(order)):  # 64 pixels: crops have something to show
    epoch, batch = step * BATCH // len(source), batch.to(DEVICE)
    seen = views(batch.images, generator, batch.aspect)
    assert seen.crops is not None  # (4, B, 3, 16, 16)
    both, crops = ((x - 0.5) / 0.25 for x in (torch.cat([seen.v1, seen.v2]), seen.crops.flatten(0, 1)))
    targets = teacher_head(teacher[0](both)[:, 0]).chunk(2)
    tokens = backbone(both)  # (2B, 1 + 16, 192), the class token first
    outputs = head(torch.cat([tokens[:, 0], backbone(crops)[:, 0]])).chunk(2 + 4)
    dino = criterion(list(targets), list(outputs), epoch=epoch)
    reconstruction = task(*equivariant(tokens[:, 1:]).chunk(2), seen).loss  # task: the student's patches, both views
    optimizer.zero_grad()
    (dino + reconstruction).backward()  # task: lambda = 1
    head.cancel_last_layer_gradients(epoch)
    optimizer.step()
    for i in range(2):  # backbone and head
        update_momentum(student[i], teacher[i], cosine_schedule(step, STEPS, 0.996, 1))
    if step % 10 == 0 or step == STEPS - 1:
        print(f"step {step}  dino {dino.item():.3f}  reconstruction {reconstruction.item():.3f}", flush=True)
