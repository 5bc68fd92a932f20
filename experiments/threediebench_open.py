"""The benchmark of 3DIEBench on an open stand-in: views of the meshes given, rendered first.

    python experiments/threediebench_open.py --meshes FOLDER [--out runs/3diebench-open] [--seeds 1] [--epochs 40]

Renders, trains one method after another on pairs of views at 64 px, scores them and writes
docs/results/3diebench-open.md; run again, it goes on where it stopped.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

from pages import made_with, write_page

from equicoherence.coherence import CoherenceConfig
from equicoherence.compare import train_once
from equicoherence.evaluation.pose_probes import PoseProbeConfig
from equicoherence.evaluation.threediebench import benchmark_3diebench
from equicoherence.methods import METHODS
from equicoherence.recipes import recipe
from equicoherence.rendering import render
from equicoherence.report.poses import pose_markdown
from equicoherence.report.tables import summarise
from equicoherence.training import OptimConfig, PretrainConfig, ViewsConfig

PAGE = Path(__file__).parents[1] / "docs" / "results" / "3diebench-open.md"
VIEWS, PATHS, SIZE, PROBE_EPOCHS = 16, 6, 64, 100


def arms(data: Path, epochs: int) -> dict[str, PretrainConfig]:
    """Return the methods by name: those that are told the pose, and those that are not."""
    vicreg = dataclasses.replace(
        recipe("vicreg-tiny"),
        data=str(data),
        views=ViewsConfig(size=SIZE, source=SIZE, path="poses"),
        optim=OptimConfig(epochs=epochs, batch_size=128, lr=2e-3),
        checkpoint_every=1000,
        threads=1,
    )
    other = CoherenceConfig(d_equi=128, decoder="cross-attention-other", targets="final", symmetric=True)
    between = CoherenceConfig(d_equi=128, decoder="conv")
    return {
        "VICReg": vicreg.plain(),
        "SIE": dataclasses.replace(vicreg, method=recipe("sie-tiny").method, coherence=None),
        "VICReg + [P1]": dataclasses.replace(vicreg, coherence=other),
        "VICReg + [P2], K = 2": dataclasses.replace(vicreg, coherence=between),
        "VICReg, split, K = 0": dataclasses.replace(vicreg, coherence=dataclasses.replace(between, states=0)),
    }


def main() -> None:
    """Render, train, score and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--meshes", required=True, help="what `equicoherence render --meshes` takes")
    parser.add_argument("--out", type=Path, default=Path("runs/3diebench-open"))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=40)
    given = parser.parse_args()
    data = given.out / "renders"
    render(given.meshes, data, views=VIEWS, paths=PATHS, size=SIZE)
    rows: dict[str, list[list[dict]]] = {}
    for seed in range(given.seeds):
        for name, config in arms(data, given.epochs).items():
            slug = "".join(c if c.isalnum() else "-" for c in name.lower()).strip("-")
            run = given.out / f"{slug}-seed{seed}"
            train_once(dataclasses.replace(config, name=name, seed=seed), run)
            last = score(run, data, controls=not rows)
            label = f"{name} (told pose and hues)" if METHODS[type(config.method)].told else name
            rows.setdefault(label, []).append(last["rows"])
            write_page(page(rows, last, given.epochs, given.seeds), PAGE)
    print(PAGE)


def score(run: Path, data: Path, controls: bool) -> dict:
    """Return the scores of a run; they are kept in its directory."""
    file = run / "3diebench.json"
    if not file.is_file():
        benchmark_3diebench(run, data, run, config=PoseProbeConfig(epochs=PROBE_EPOCHS), controls=controls)
    return json.loads(file.read_text(encoding="utf-8"))


def page(rows: dict[str, list[list[dict]]], last: dict, epochs: int, seeds: int) -> str:
    """Return the page."""
    objects = last["objects"]
    return (
        "# 3DIEBench on open meshes\n\n"
        f"Written by `python experiments/threediebench_open.py`; seeds: {seeds}. {made_with(last)}.\n\n"
        f"{objects['train']:,} objects for training, {objects['val']} others for the scores, {VIEWS} views of each at "
        f"{SIZE} px, rendered by `equicoherence render` with {PATHS} pose paths of 2 states each. A ResNet of four "
        f"blocks (0.6 M parameters), {epochs} epochs of one pair of views of each object; probes of {PROBE_EPOCHS} "
        "epochs. "
        "Rotation, color: R2 of differences of two views, mean of the dimensions, 0 for a constant; beside it SIE's "
        "figure with one scalar mean, about .23 for a constant. Retrieval (MRR, H@1, H@5, PRE) is through a bilinear "
        f"map fitted on training pairs, for all methods alike; chance among {VIEWS} views: MRR "
        f"{chance(last, 'mrr'):.2f}, H@1 {chance(last, 'hit_at_1'):.2f}, H@5 {chance(last, 'hit_at_5'):.2f}, PRE "
        f"{chance(last, 'pre'):.2f} (lower is better).\n\n"
    ) + pose_markdown(summarise(rows), list(rows))


def chance(results: dict, metric: str) -> float:
    """Return what a random order scores."""
    return next(row["chance"] for row in results["rows"] if row["metric"] == metric)


if __name__ == "__main__":
    main()
