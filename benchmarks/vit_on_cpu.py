"""Measure what `fast_on_cpu` saves in the tiny transformers, trained on a CPU in bfloat16: whole steps.

    python benchmarks/vit_on_cpu.py [--repeats 9]

A step as torch and timm compute it and one after `fast_on_cpu` are taken by turns, in one process and on one thread, so
that other load on the machine strikes both alike. Times are the processor's, medians over repeats; the speed-up is the
median of the ratios between the steps of one turn.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import torch
from about import machine, write_results
from dilated import markdown, measure

from equicoherence.keep_memory import keep_freed_memory
from equicoherence.models.on_cpu import fast_on_cpu
from equicoherence.recipes import recipe
from equicoherence.training import PretrainConfig


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    given = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    about = machine(["timm", "equicoherence"]) | {"threads": 1, "repeats": given.repeats}
    rows = [
        measure(name, dataclasses.replace(config, precision="bf16"), fast_on_cpu, given.repeats)
        for name, config in configs().items()
    ]
    table = markdown(rows, "as torch and timm compute", "after fast_on_cpu")
    write_results(given.out, "vit-on-cpu", "Transformers on a CPU in bfloat16", about, rows, table)


def configs() -> dict[str, PretrainConfig]:
    """Return what is trained, by the name of its row."""
    arms = {}
    for name in ("ibot-tiny", "dinov2-tiny"):
        arms |= {f"{name}, plain": recipe(name).plain(), f"{name}, with the task": recipe(name)}
    return arms


if __name__ == "__main__":
    main()
