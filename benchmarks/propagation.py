"""Measure how fast masks are propagated through a video: ours against a plain loop over frames, alternating in one
process.

    python benchmarks/propagation.py [--grids 30x53 60x107] [--frames 12] [--repeats 3]

The plain loop does what DINO's published evaluation does: for each frame the affinity of all its tokens with all
tokens of each context frame, those out of the neighbourhood set to zero, the best of all kept, their labels averaged.
Tokens are synthetic, 384 channels (ViT-S): smooth fields that two ellipses of their own carry across another, and
noise, in half precision, as the task keeps them. Grids are those of 480p at a stride of 16 and of 8 pixels. Labels of
both ways are enlarged and scored (J&F) alike; time is that of the propagation only. Ratios are taken within a repeat.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from about import machine, write_results
from torch import Tensor

from equicoherence.downstream.video.jf import contour_accuracy, region_similarity
from equicoherence.downstream.video.propagation import SETTINGS, Propagation, propagate
from equicoherence.downstream.video.scoring import enlarged


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grids", nargs="+", default=["30x53", "60x107"], help="tokens down x across")
    for name, value in (("frames", 12), ("repeats", 3), ("width", 384), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rows = []
    for grid in arguments.grids:
        height, width = (int(number) for number in grid.split("x"))
        tokens, masks = moving(arguments.frames, height, width, arguments.width, device)
        rows.append(measure(tokens, masks, SETTINGS["dino"], arguments.repeats))
        print(markdown([rows[-1]]), flush=True)
    about = {**machine([]), "seed": 0, **{k: v for k, v in vars(arguments).items() if k not in ("out", "grids")}}
    about["settings"] = str(SETTINGS["dino"])
    write_results(arguments.out, "propagation", "Handing masks on through a video", about, rows, markdown(rows))


@torch.no_grad()
def measure(tokens: Tensor, masks: Tensor, how: Propagation, repeats: int) -> dict[str, Any]:
    """Return frames per second of both ways, the median ratio over repeats, and both ways' J&F."""
    ways = {"ours": propagate, "plain": plain}
    first = F.one_hot(F.interpolate(masks[:1, None].float(), tokens.shape[1:3])[0, 0].long(), 3).permute(2, 0, 1)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    soft: dict[str, Tensor] = {}
    for way in ways.values():
        way(tokens[:3], first, how)  # warm
    for _ in range(repeats):
        for name, way in ways.items():
            _wait(tokens)
            start = time.perf_counter()
            soft[name] = way(tokens, first, how)
            _wait(tokens)
            seconds[name].append(time.perf_counter() - start)
    scores = {name: j_and_f(labels, masks) for name, labels in soft.items()}
    count = len(tokens) - 1
    return {
        "tokens": f"{tokens.shape[1]} x {tokens.shape[2]}",
        "frames": count,
        "frames per second": {name: count / statistics.median(times) for name, times in seconds.items()},
        "ratio": statistics.median(theirs / mine for mine, theirs in zip(seconds["ours"], seconds["plain"])),
        "ratios": [theirs / mine for mine, theirs in zip(seconds["ours"], seconds["plain"])],
        "J&F": scores,
        "largest difference of a soft label": float((soft["ours"] - soft["plain"]).abs().max()),
    }


def plain(tokens: Tensor, labels: Tensor, how: Propagation) -> Tensor:
    """Hand labels on frame by frame, as `propagate` does, over the affinities of all pairs of tokens."""
    count, height, width, _ = tokens.shape
    flat = F.normalize(tokens.flatten(1, 2).float(), dim=-1)
    near = neighbourhood(height, width, how.radius, tokens.device)
    soft = [labels.float().flatten(1)]
    for frame in range(1, count):
        context = [0, *range(max(1, frame - how.frames), frame)]
        affinities = []
        for other in context:
            affinity = (flat[frame] @ flat[other].T / how.temperature).exp()
            affinities.append((affinity * near).T)
        affinity = torch.cat(affinities)  # (all tokens of the context, tokens of the frame)
        least = affinity.topk(how.top_k, dim=0).values.amin(dim=0)
        affinity[affinity < least] = 0
        affinity /= affinity.sum(dim=0)
        soft.append(torch.cat([soft[other] for other in context], dim=1) @ affinity)
    return torch.stack(soft).unflatten(2, (height, width))


def neighbourhood(height: int, width: int, radius: int, device: torch.device) -> Tensor:
    """Return (N, N) float, 1 where two tokens are at most ``radius`` apart along both axes."""
    rows, columns = (torch.arange(length, device=device) for length in (height, width))
    up = (rows[:, None] - rows).abs() <= radius
    across = (columns[:, None] - columns).abs() <= radius
    return (up[:, None, :, None] & across[None, :, None, :]).reshape(height * width, -1).float()


def moving(frames: int, height: int, width: int, channels: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return tokens (T, h, w, C) float16 of two things that cross a scene, and their masks (T, 8 h, 8 w) uint8."""
    generator = torch.Generator().manual_seed(0)
    fields = torch.randn(3, channels, 6, 8, generator=generator)
    fields = F.interpolate(fields, (height, width), mode="bicubic") + torch.randn(
        3, channels, 1, 1, generator=generator
    )
    y, x = torch.meshgrid(torch.linspace(0, 1, 8 * height), torch.linspace(0, 1, 8 * width), indexing="ij")
    tokens, masks = [], []
    for frame in range(frames):
        turn = frame / 24
        mask = torch.zeros(8 * height, 8 * width, dtype=torch.uint8)
        centres = ((0.35 + 0.25 * turn, 0.25 + 0.3 * turn), (0.65 - 0.2 * math.sin(3 * turn), 0.7 - 0.25 * turn))
        for number, (row, column) in enumerate(centres, start=1):
            mask[((y - row) / 0.2) ** 2 + ((x - column) / (0.1 + 0.05 * turn)) ** 2 < 1] = number
        shares = F.one_hot(mask.long(), 3).permute(2, 0, 1)[:, None].float()
        shares = F.interpolate(shares, (height, width), mode="area")
        shift = round(turn * width / 10)
        scene = torch.cat([fields[:1], fields[1:].roll(shift, dims=3)])
        noise = torch.randn(channels, height, width, generator=generator)
        tokens.append(((scene * shares).sum(dim=0) + noise).permute(1, 2, 0).half())
        masks.append(mask)
    return torch.stack(tokens).to(device), torch.stack(masks).to(device)


def j_and_f(soft: Tensor, masks: Tensor) -> float:
    """Return the mean J&F over both things and all frames but the first and the last."""
    size = (masks.shape[1], masks.shape[2])
    predicted = torch.stack([enlarged(labels, size) for labels in soft])[1:-1]
    pairs = [(predicted == number, masks[1:-1] == number) for number in (1, 2)]
    return float(sum((region_similarity(*pair) + contour_accuracy(*pair)).mean() for pair in pairs) / 4)


def _wait(tokens: Tensor) -> None:
    if tokens.is_cuda:
        torch.cuda.synchronize()


def markdown(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a table."""
    lines = [
        "| tokens | frames | ours, frames/s | plain, frames/s | ratio (least to most) | J&F, ours | J&F, plain |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        speed, score, ratios = row["frames per second"], row["J&F"], row["ratios"]
        span = f"{row['ratio']:.1f} ({min(ratios):.1f} to {max(ratios):.1f})"
        numbers = f"{speed['ours']:.2f} | {speed['plain']:.2f} | {span} | {score['ours']:.5f} | {score['plain']:.5f}"
        lines.append(f"| {row['tokens']} | {row['frames']} | {numbers} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
