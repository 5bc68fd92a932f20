"""Localisation: the box of the one object of an image, from patch tokens of a frozen encoder; IoU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.ops import box_convert, generalized_box_iou_loss

from equicoherence.downstream.box_pictures import show_boxes
from equicoherence.downstream.tokens import Tokens, extract_tokens, input_size, sized, some_shapes, stride
from equicoherence.evaluation.fit import fit
from equicoherence.evaluation.frozen_model import FrozenModel, generators_kept
from equicoherence.evaluation.picture import Picture
from equicoherence.evaluation.task import Row, TaskScore, Track, spread
from equicoherence.sets.kinds import BoxSet

if TYPE_CHECKING:
    from equicoherence.downstream.localisation.task import Localisation

PICTURES = 6
QUERIES, CONTENT = 8, 8


def score_localisation(task: Localisation, model: FrozenModel, train: BoxSet, test: BoxSet, track: Track) -> TaskScore:
    train_indices, test_indices = spread(len(train), task.train), spread(len(test), task.test)
    size = input_size(some_shapes(train.image, train_indices), task.pixels, stride(model.encoder, model.size))
    encoder = sized(model.encoder, size).eval()
    sides: dict[tuple[str, int], tuple[int, int]] = {}

    def read(data: BoxSet, split: str, index: int) -> np.ndarray:
        image = data.image(index)
        sides[split, index] = (image.shape[1], image.shape[0])
        return image

    def shares(data: BoxSet, split: str, indices: list[int]) -> Tensor:
        boxes = np.stack([data.box(i) / np.array(sides[split, i] * 2, dtype=np.float32) for i in indices])
        return torch.from_numpy(boxes)

    tokens = extract_tokens(
        encoder, lambda i: read(train, "train", i), train_indices, size, track, "localisation: training images"
    )
    boxes = shares(train, "train", train_indices)
    head = _train(task, tokens, boxes, encoder.mean.device, track)
    tokens = extract_tokens(
        encoder, lambda i: read(test, "val", i), test_indices, size, track, "localisation: test images"
    )
    truth = shares(test, "val", test_indices)
    predicted = locate(head, tokens)
    rows = [
        Row(name, value, floor=floor)
        for (name, value), floor in zip(
            box_scores(predicted, truth).items(), box_scores(boxes.mean(dim=0).expand_as(truth), truth).values()
        )
    ]
    pictures: dict[str, Picture] = {}
    for position in spread(len(test_indices), PICTURES):
        image, index = test.image(test_indices[position]), test_indices[position]
        scale = np.array(sides["val", index] * 2, dtype=np.float32)
        pictures[test.name(index)] = show_boxes(
            image, predicted[position : position + 1].numpy() * scale, test.box(index)[None]
        )
    return TaskScore(rows, pictures, {"train": len(train_indices), "val": len(test_indices)}, size)


def _train(task: Localisation, tokens: Tokens, boxes: Tensor, device: torch.device, track: Track) -> nn.Module:
    generator = torch.Generator().manual_seed(task.seed)
    with generators_kept():
        torch.manual_seed(task.seed)
        head = BoxHead(tokens.patches.shape[-1], boxes.mean(dim=0)).to(device)
    boxes = boxes.to(device)

    def loss(step: int) -> Tensor:
        chosen = torch.randint(len(tokens), (min(task.batch, len(tokens)),), generator=generator)
        predicted = head(tokens.take(chosen, device).patches.float())
        return generalized_box_iou_loss(predicted, boxes[chosen.to(device)], reduction="mean")

    groups = [{"params": head.parameters(), "lr": task.lr}]
    fit(loss, groups, task.steps, head=head, what="localisation: head", track=track)
    return head.eval()


class BoxHead(nn.Module):
    """Queries that give the positions and contents of the tokens they attend to; a linear layer predicts a box from it.

    Tokens are normalised by BatchNorm. A query gives the means, over its softmax, of the places' x, y, x^2 and y^2, -2
    to 2 across the image, and of eight linear combinations of the tokens' channels. At first every box is ``mean``,
    (4,) in shares of the image.
    """

    def __init__(self, width: int, mean: Tensor) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(width)
        self.queries = nn.Linear(width, QUERIES)
        self.content = nn.Linear(width, CONTENT)
        self.box = nn.Linear(QUERIES * (4 + CONTENT), 4)
        nn.init.zeros_(self.box.weight)
        with torch.no_grad():
            self.box.bias.copy_(box_convert(mean, "xyxy", "cxcywh").clamp(0.01, 0.99).logit())

    def forward(self, patches: Tensor) -> Tensor:
        """Return boxes (B, 4), left, top, right, bottom in shares of the image, of patches (B, h, w, C)."""
        height, width = patches.shape[1:3]
        tokens = self.norm(patches.flatten(0, 2)).view(len(patches), height * width, -1)
        y, x = torch.meshgrid(_places(height, patches), _places(width, patches), indexing="ij")
        places = torch.stack([x, y, x.square(), y.square()], dim=-1).view(1, -1, 4).expand(len(patches), -1, -1)
        attention = self.queries(tokens).softmax(dim=1)
        found = torch.einsum("bnq,bnc->bqc", attention, torch.cat([places, self.content(tokens)], dim=-1))
        return box_convert(self.box(found.flatten(1)).sigmoid(), "cxcywh", "xyxy")


@torch.no_grad()
def locate(head: nn.Module, tokens: Tokens, batch: int = 256) -> Tensor:
    """Return the boxes (N, 4) that a head predicts from tokens, in shares of the image and within it, on the CPU."""
    device = next(head.parameters()).device
    return torch.cat([head(part.to(device).float()) for part in tokens.patches.split(batch)]).clamp(0, 1).cpu()


def box_scores(predicted: Tensor, truth: Tensor) -> dict[str, float]:
    """Return the mean IoU, and the share of those of .5 or more, of boxes (N, 4) paired one to one."""
    iou = paired_iou(predicted, truth)
    return {"iou": float(iou.mean()), "corloc": float((iou >= 0.5).float().mean())}


def paired_iou(first: Tensor, second: Tensor) -> Tensor:
    """Return the intersection over union (N,) of boxes (N, 4), each with the one of the same place."""
    shared = torch.minimum(first[:, 2:], second[:, 2:]) - torch.maximum(first[:, :2], second[:, :2])
    both = shared.clamp(min=0).prod(dim=1)
    area = (first[:, 2:] - first[:, :2]).prod(dim=1) + (second[:, 2:] - second[:, :2]).prod(dim=1)
    return both / (area - both)


def _places(count: int, like: Tensor) -> Tensor:
    """Return the middles (count,) of tokens in a row, -2 to 2 from border to border."""
    return (torch.arange(count, device=like.device, dtype=torch.float32) + 0.5) / count * 4 - 2
