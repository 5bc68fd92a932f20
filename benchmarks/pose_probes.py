"""Measure pose probes: all heads in one pass over cached features, against one head after the other.

    python benchmarks/pose_probes.py [--objects 128] [--views 8] [--epochs 10] [--size 64] [--encoder resnet18]

Three ways to the same scores, from the same initial weights and the same draws of pairs: ours (every image encoded
once, all heads together), head by head over the same cached features, and head by head over images, which are encoded
anew for every head, epoch and batch, as published evaluations do. The images are in memory: nothing is read or decoded,
which favours the last. ``--encoder`` is ``small``, four convolutions, or a timm name (random weights).
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import timm
import torch
import torch.nn.functional as F
from about import machine, write_results
from torch import Tensor, nn

from equicoherence.evaluation.poses.head_batch import Head, HeadBatch
from equicoherence.evaluation.poses.probes import (
    Scales,
    head_inputs,
    inputs_of,
    make_heads,
    predict,
    probe_loss,
    scores,
    standard,
    target_scales,
    train_heads,
)
from equicoherence.evaluation.poses.renders import Renders, ViewPairs
from equicoherence.evaluation.poses.task import PoseProbes

Encoder = Callable[[Tensor], Tensor]  # uint8 images (N, 3, S, S) -> features (N, C)
Reader = Callable[[ViewPairs, str], dict[str, Tensor]]  # what heads read of pairs in a representation
Scores = dict[tuple[str, str, str], dict[tuple[str, str], float]]


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("objects", 128), ("views", 8), ("epochs", 10), ("batch", 128), ("size", 64), ("hidden", 1024)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--encoder", default="resnet18")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    config = PoseProbes(arguments.epochs, arguments.batch, hidden=arguments.hidden, test_pairs=1)
    net = small() if arguments.encoder == "small" else timm.create_model(arguments.encoder, num_classes=0)
    counts = (arguments.objects, max(2, arguments.objects // 2))
    sets = [picture(count, arguments.views, arguments.size, seed, device) for seed, count in enumerate(counts)]
    rows = measure(frozen(net.eval().to(device)), sets[0], sets[1], config)
    about = {**machine(["timm"]), "seed": 0, **{k: v for k, v in vars(arguments).items() if k != "out"}}
    write_results(arguments.out, "pose-probes", "Training pose probes", about, rows, markdown(rows))
    print(markdown(rows))


def measure(
    encode: Encoder, train: tuple[Tensor, Renders], test: tuple[Tensor, Renders], config: PoseProbes
) -> list[dict[str, Any]]:
    """Return seconds, ratio to ours, and the largest difference of a mean R2 from ours, of the three ways.

    train, test: uint8 images (O, V, 3, S, S) and what they show.
    """

    def ours() -> Scores:
        known, asked = cached(encode, *train), cached(encode, *test)
        standards = {name: standard(z) for name, z in known.features.items()}  # timed here, given to the others
        scales = target_scales(known)
        heads = train_heads(known, standards, scales, config, torch.Generator().manual_seed(config.seed))
        answers = predict(heads, asked, standards, scales, pairs)
        return {(h.task, h.source, h.kind): scores(h.task, y, truth[h.task]) for h, y in answers.items()}

    def by_features() -> Scores:
        sets = [{name: only(r, name) for name in r.features} for r in (cached(encode, *train), cached(encode, *test))]
        return one_by_one([lambda part, name, r=r: inputs_of(r[name], standards, part) for r in sets])

    def by_images() -> Scores:
        return one_by_one(
            [lambda part, name, s=s: inputs_from_images(encode, s[0], name, standards, part) for s in (train, test)]
        )

    def one_by_one(readers: Sequence[Reader]) -> Scores:
        generator = torch.Generator().manual_seed(config.seed)
        batch = HeadBatch(make_heads(known, config), generator).to(known.rotations.device)
        start = generator.get_state()
        found: Scores = {}
        for head in batch.heads:
            generator.set_state(start)
            answer = alone(head, batch.single(head), train[1], readers, scales, pairs, config, generator)
            found[head.task, head.source, head.kind] = scores(head.task, answer, truth[head.task])
        return found

    known = cached(encode, *train)
    standards: Scales = {name: standard(z) for name, z in known.features.items()}
    scales = target_scales(known)
    pairs = test[1].draw(torch.Generator().manual_seed(config.seed + 1))
    truth = test[1].targets(pairs)
    ways = {
        "ours: encoded once, all heads together": ours,
        "head by head, cached features": by_features,
        "head by head, images": by_images,
    }
    rows: list[dict[str, Any]] = []
    reference: Scores = {}
    for name, way in ways.items():
        start = time.perf_counter()
        found = way()
        seconds = time.perf_counter() - start
        reference = reference or found
        means = {k: v["r2", ""] for k, v in found.items() if ("r2", "") in v}
        gap = max(abs(value - reference[k]["r2", ""]) for k, value in means.items())
        ratio = seconds / rows[0]["seconds"] if rows else 1.0
        about = {"heads": len(found), "lowest R2": min(means.values()), "highest R2": max(means.values())}
        rows.append({"way": name, "seconds": seconds, "ratio": ratio, **about, "largest gap": gap})
    return rows


def alone(
    head: Head,
    net: nn.Module,
    train: Renders,
    readers: Sequence[Reader],
    scales: Scales,
    pairs: ViewPairs,
    config: PoseProbes,
    generator: torch.Generator,
) -> Tensor:
    """Train one head by itself, with the draws that it has in `train_heads`; return its answers for test pairs."""
    device, name = train.rotations.device, head.source.split("/")[0]
    optimizer = torch.optim.Adam(net.parameters(), config.learning_rate, fused=True)
    for _ in range(config.epochs):
        for part in train.draw(generator).split(config.batch):
            x = readers[0](part, name)[head.source]
            with torch.autocast(device.type, torch.bfloat16):
                predicted = net(x)
            target = train.targets(part)[head.task]
            if head.task != "class":
                target = (target - scales[head.task][0]) / scales[head.task][1]
            probe_loss(head.task, predicted, target).backward()
            optimizer.step()
            optimizer.zero_grad()
    answers = []
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
        for part in pairs.split(1024):
            answers.append(net(readers[1](part, name)[head.source]).float())
    answer = torch.cat(answers)
    return answer.argmax(dim=1) if head.task == "class" else answer * scales[head.task][1] + scales[head.task][0]


def inputs_from_images(
    encode: Encoder, images: Tensor, name: str, standards: Scales, pairs: ViewPairs
) -> dict[str, Tensor]:
    """Encode the pairs' images (of O, V, 3, S, S), and return what `inputs_of` reads from a cache."""
    both = images[pairs.objects[:, None], torch.stack([pairs.first, pairs.second], dim=1)]
    encoded = parts(encode(both.flatten(0, 1)).unflatten(0, (len(pairs), 2)))
    return head_inputs({name: encoded[name]}, standards)


def only(renders: Renders, name: str) -> Renders:
    """Return renders with one representation."""
    return dataclasses.replace(renders, features={name: renders.features[name]})


def cached(encode: Encoder, images: Tensor, renders: Renders) -> Renders:
    """Return renders with the features of all images, each encoded once."""
    features = torch.cat([encode(part) for part in images.flatten(0, 1).split(512)])
    return dataclasses.replace(renders, features=parts(features.unflatten(0, images.shape[:2])))


def parts(features: Tensor) -> dict[str, Tensor]:
    """Return the features, and their halves in the places of invariant and equivariant ones."""
    half = features.shape[-1] // 2
    return {"all": features, "invariant": features[..., :half], "equivariant": features[..., half:]}


def frozen(net: nn.Module) -> Encoder:
    """Return a function from uint8 images to features, in bfloat16, without gradients."""

    @torch.no_grad()
    def encode(images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, torch.bfloat16):
            return net(images.float() / 127.5 - 1).float()

    return encode


def small() -> nn.Module:
    """Return four convolutions with random weights: a stride of 2 each, 128 channels in the end, pooled."""
    layers: list[nn.Module] = []
    for before, after in ((3, 32), (32, 64), (64, 128), (128, 128)):
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten())


def picture(objects: int, views: int, size: int, seed: int, device: torch.device) -> tuple[Tensor, Renders]:
    """Return uint8 images (O, V, 3, S, S) of smooth patterns that pose, hues and class mix, and what they show."""
    generator = torch.Generator().manual_seed(seed)
    rotations = F.normalize(torch.randn(objects, views, 4, generator=generator) * torch.tensor([1, 1, 1, 0.7]), dim=-1)
    hues = torch.rand(objects, views, 2, generator=generator)
    labels = torch.randint(8, (objects,), generator=generator)
    renders = Renders({"none": torch.zeros(objects, views, 1)}, rotations, hues, labels)
    coarse = torch.randn(14, 3, 5, 5, generator=torch.Generator().manual_seed(99))
    patterns = F.interpolate(coarse, size=(size, size), mode="bicubic")
    classes = F.one_hot(labels, 8)[:, None].expand(-1, views, -1).float()
    mixed = torch.cat([2 * renders.rotations, 2 * hues - 1, classes], dim=2) @ patterns.flatten(1)
    images = (mixed.unflatten(2, (3, size, size)).sigmoid() * 255).byte()
    moved = (x.to(device) for x in (renders.rotations, hues, labels))
    return images.to(device), Renders({"none": torch.zeros(objects, views, 1, device=device)}, *moved)


def markdown(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a table."""
    lines = [
        "| way | heads | seconds | times ours | mean R2 of heads | largest difference of one from ours |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        span = f"{row['lowest R2']:.2f} to {row['highest R2']:.2f}"
        numbers = f"{row['seconds']:.1f} | {row['ratio']:.1f} | {span} | {row['largest gap']:.4f}"
        lines.append(f"| {row['way']} | {row['heads']} | {numbers} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
