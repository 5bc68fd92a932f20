"""iBOT and DINOv2 on Tiny-ImageNet-100, with and without the task.

    python experiments/ibot_dinov2.py --data FOLDER_OR_ARCHIVE [--out runs/ibot-dinov2] [--seeds 2] [--steps 400]

Trains and scores one configuration after another and writes docs/results/ibot-dinov2.md; run again, it continues
where it stopped.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from pages import write_page

from equicoherence.coherence import CoherenceConfig
from equicoherence.comparing import compare
from equicoherence.recipes import recipe
from equicoherence.reporting.main_figures import score_markdown
from equicoherence.training import PretrainConfig

PAGE = Path(__file__).parents[1] / "docs" / "results" / "ibot-dinov2.md"
EVALUATION = {
    "transformation": {
        "transformations": ("rotation", "translation", "blur"),
        "borders": ("content", "zeros"),
        "probes": ("mlp",),
        "train": 3000,
        "test": 1000,
    }
}


def arms(data: str, steps: int) -> dict[str, PretrainConfig]:
    """Return each method alone, with the conv decoders of [P2] and with the render decoder, on all samples."""
    found = {}
    for method in ("ibot", "dinov2"):
        base = dataclasses.replace(
            recipe(f"{method}-tiny"), data=data, max_steps=steps, checkpoint_every=steps, threads=1
        )
        found[method] = base.plain()
        for decoder in ("conv", "render"):
            task = CoherenceConfig(d_equi=64, decoder=decoder)
            found[f"{method} + {decoder}"] = dataclasses.replace(base, coherence=task)
    return found


def main() -> None:
    """Train, score and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", required=True, help="Tiny-ImageNet-100: a folder with train/ and val/, or its archive"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/ibot-dinov2"))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=400)
    given = parser.parse_args()
    configs = arms(given.data, given.steps)
    runs = compare(configs, given.out, seeds=range(given.seeds), settings=EVALUATION)
    one = next(iter(configs.values()))
    images = given.steps * one.optim.batch_size
    text = (
        "# iBOT and DINOv2 on Tiny-ImageNet-100, with and without the task\n\n"
        f"Written by `python experiments/ibot_dinov2.py`. A vision transformer of six blocks, 16 tokens, 32 px views, "
        f"{images:,} images seen ({images / 30000:.1f} epochs), SE(2) paths that the method's loss does not see, flips "
        "shared by the views, border content, linear split. "
    )
    write_page(text + score_markdown(runs), PAGE)
    print(PAGE)


if __name__ == "__main__":
    main()
