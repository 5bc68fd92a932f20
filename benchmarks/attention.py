"""Measure what it saves to train transformers on a CPU in bfloat16 without torch's fused attention: whole steps.

    python benchmarks/attention.py [RECIPE...]

A training step with fused attention and one without are taken by turns, in one process and on one thread, so that other
load on the machine strikes both alike. Times are the processor's, medians over repeats; the speed-up is the median of
the ratios between the steps of one turn.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import torch
from about import machine, write_results
from dilated import markdown, measure

from equicoherence.keep_memory import keep_freed_memory
from equicoherence.models.attention import unfuse_where_slow
from equicoherence.recipes import recipe


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", default=["ibot-tiny", "dinov2-tiny"])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    given = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    about = machine(["timm", "equicoherence"]) | {"threads": 1, "repeats": given.repeats}
    rows = [
        measure(f"{name}, {arm}", dataclasses.replace(config, precision="bf16"), unfuse_where_slow, given.repeats)
        for name in given.recipes
        for arm, config in (("plain", recipe(name).plain()), ("with the task", recipe(name)))
    ]
    table = markdown(rows, "fused attention", "products and softmax")
    write_results(given.out, "attention", "Attention of few tokens in bfloat16", about, rows, table)


if __name__ == "__main__":
    main()
