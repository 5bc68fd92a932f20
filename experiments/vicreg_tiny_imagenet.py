"""VICReg on Tiny-ImageNet-100, with and without the task, with its controls.

    python experiments/vicreg_tiny_imagenet.py --data FOLDER_OR_ARCHIVE [--out runs/vicreg-tiny-imagenet]

Runs one configuration after another, most telling first, and rewrites docs/results/vicreg-tiny-imagenet.md after
each. Run again, it goes on where it stopped: a finished run is not trained again, and scored again only where its
scores are of other settings or of older probes. The order: all arms without the leak (border content), second seeds,
then border zeros.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
from pathlib import Path
from typing import Any

from kept import holds
from pages import write_page

from equicoherence.arms import train_once
from equicoherence.coherence import CoherenceConfig
from equicoherence.evaluation import evaluate
from equicoherence.evaluation.store import FILE, read_scores
from equicoherence.recipes import recipe
from equicoherence.reporting.summary import flat_rows
from equicoherence.reporting.tables import MISSING
from equicoherence.training import OptimConfig, PretrainConfig

PAGE = Path(__file__).parents[1] / "docs" / "results" / "vicreg-tiny-imagenet.md"
STEPS = 300
HEADROOM = 0.05  # an oracle that is no better than the plain method leaves no headroom to close
MAIN = ("VICReg", "+ conv [P2]", "+ cross-attention [P1]", "+ render")
EVALUATION: dict[str, dict[str, Any]] = {
    "transformation": {
        "transformations": ("rotation", "translation", "blur"),
        "borders": ("content", "zeros"),
        "probes": ("mlp",),
        "train": 3000,
        "test": 1000,
    },
    "knn": {"limit": 10000},
    "linear": {"limit": 10000},
}
Job = tuple[str, str, int, PretrainConfig]  # arm, training border, seed, configuration


def arms(data: str) -> dict[str, PretrainConfig]:
    """Return the configurations by name, all with border content."""
    base = dataclasses.replace(
        recipe("vicreg-tiny"),
        data=data,
        max_steps=STEPS,
        checkpoint_every=STEPS,
        threads=1,
        optim=OptimConfig(epochs=100, batch_size=256, lr=2e-3),
    )

    def task(**fields: object) -> PretrainConfig:
        return dataclasses.replace(base, coherence=CoherenceConfig(d_equi=128, **fields))  # type: ignore[arg-type]

    return {
        "VICReg": base.plain(),
        "+ conv [P2]": task(decoder="conv"),
        "+ render": task(decoder="render"),
        "oracle (theta as label)": task(decoder="oracle"),
        "+ cross-attention [P1]": task(decoder="cross-attention", targets="final", symmetric=True),
        "+ g, no reconstruction": dataclasses.replace(base, coherence=None),
        "+ conv, final view only": task(decoder="conv", targets="final"),
        "+ conv, K = 1": task(decoder="conv", states=1),
    }


def plan(data: str) -> list[Job]:
    """Return the runs, most telling first."""
    configs = arms(data)
    jobs = []
    for border, seed, names in (
        ("content", 0, tuple(configs)),
        ("content", 1, MAIN),
        ("zeros", 0, tuple(name for name in configs if name != "VICReg")),  # which has no path, and so no border
        ("zeros", 1, MAIN[1:]),
    ):
        for name in names:
            config = configs[name]
            views = dataclasses.replace(config.views, border=border)
            jobs.append((name, border, seed, dataclasses.replace(config, views=views, seed=seed, name=name)))
    return jobs


def main() -> None:
    """Train, evaluate and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", required=True, help="Tiny-ImageNet-100: a folder with train/ and val/, or its archive"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/vicreg-tiny-imagenet"))
    parser.add_argument("--border", choices=("content", "zeros"), help="only the runs trained with this border")
    parser.add_argument("--page", action="store_true", help="train nothing: only write the page of the runs there are")
    given = parser.parse_args()
    jobs = plan(given.data)
    places = {job[:3]: given.out / _folder(*job[:3]) for job in jobs}
    for name, border, seed, config in () if given.page else jobs:
        if given.border not in (None, border):
            continue
        run = places[name, border, seed]
        train_once(config, run)
        if not _is_scored(name, seed, config, run):
            floor = _has_floor(name, seed)
            scores = evaluate(run, tasks=list(EVALUATION), settings=_evaluation(config), controls=floor)
            minutes = sum(part["seconds"] for part in scores["parts"].values()) / 60 + _training_minutes(run)
            (run / "minutes.txt").write_text(f"{minutes:.2f}")
        write_scored(jobs, places)
    write_scored(jobs, places)


def write_scored(jobs: list[Job], places: dict[tuple[str, str, int], Path]) -> None:
    """Write the page of the runs that have scores of the present probes: those of others do not compare."""
    folders = {job[:3]: places[job[:3]] for job in jobs if _is_scored(job[0], job[2], job[3], places[job[:3]])}
    write_page(page(folders, len(places)), PAGE)


def _evaluation(config: PretrainConfig) -> dict[str, dict[str, Any]]:
    parts = ("z_inv", "z_equi") if config.coherence else ("z",)
    return EVALUATION | {"transformation": EVALUATION["transformation"] | {"representations": ("backbone", *parts)}}


def _has_floor(name: str, seed: int) -> bool:
    """Return whether this run's scores hold those of the random encoder, the same for all arms."""
    return name == "VICReg" and seed == 0


def _is_scored(name: str, seed: int, config: PretrainConfig, run: Path) -> bool:
    return holds(run, _evaluation(config), controls=_has_floor(name, seed))


def _training_minutes(run: Path) -> float:
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return sum(json.loads(line)["seconds"] for line in lines) / 60


def _folder(name: str, border: str, seed: int) -> str:
    slug = "".join(c if c.isalnum() else "-" for c in name.lower()).strip("-")
    return f"{border}-{slug}-seed{seed}"


def page(folders: dict[tuple[str, str, int], Path], planned: int) -> str:
    """Return the page for the runs done so far."""
    results = {key: read_scores(run / FILE) for key, run in folders.items()}
    rows = {key: flat_rows(scores) for key, scores in results.items()}
    said = sorted({_provenance(result) for result in results.values()})
    minutes = sum(
        float((run / "minutes.txt").read_text()) for run in folders.values() if (run / "minutes.txt").is_file()
    )
    lines = [
        "# VICReg on Tiny-ImageNet-100, with and without the task",
        "",
        f"Written by `python experiments/vicreg_tiny_imagenet.py`; {len(folders)} of {planned} runs done. "
        + "; ".join(said)
        + f"; {minutes:.0f} minutes of training and evaluation in all.",
        "",
        f"Encoder: a ResNet of four blocks (0.6 M parameters), 32 px views of 64 px images, {STEPS} steps of "
        "256 images "
        f"({STEPS * 256 / 30000:.1f} epochs), SE(2) paths, bf16. VICReg weights 1, 1, .04 (the published 25, "
        "25, 1 divided "
        "by 25) so that lambda = 1 weighs the reconstruction as one of its terms. z has 256 features, 128 of them "
        "equivariant (plain: all 256 invariant).",
        "",
        "R2 of an MLP probe (1024, 1024) on the features of I and g(I), 3,000 training images "
        "(each under two transformations) and 1,000 test images; "
        "± is the standard deviation over seeds where two were run. Evaluation border: `content` cannot leak "
        "the angle, "
        "`zeros` shows it in black corners. Absolute: R2 of the size of the angle; side: accuracy of left against "
        "right (chance .5); see docs/transformation.md. Headroom closed: (R2 - plain) / (oracle - plain), rotation, "
        "backbone, "
        "evaluated with `content`, oracle of the same training border; left out where "
        "that oracle is no better than the plain method.",
        "",
    ]
    for border in ("content", "zeros"):
        names = [name for name in arms("") if (name, border, 0) in results or name == "VICReg"]
        lines += _table(rows, names, border)
    return "\n".join(lines) + "\n"


def _provenance(result: dict) -> str:
    machine, versions = result["machine"], ", ".join(f"{k} {v}" for k, v in result["versions"].items())
    return (
        f"{result['date']}, {machine['processor']}, {machine['cores']} core(s) a run, gpu {machine['gpu']}, {versions}"
    )


def _table(rows: dict[tuple[str, str, int], list[dict]], names: list[str], border: str) -> list[str]:
    lines = [f"## Trained with border `{border}`", ""]
    lines += [
        "| | seeds | rotation, backbone | z or z_inv | z_equi | backbone, `zeros` | absolute, backbone "
        "| side, backbone | translation, backbone | z_equi | blur, backbone | k-NN | linear | headroom closed |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]

    def scores(
        name: str, task: str, representation: str, target: str = "", shown: str = "", control: str = ""
    ) -> list[float]:
        trained = "content" if name == "VICReg" else border  # the plain method has no path, so no border
        wanted = {"task": task, "representation": representation, "control": control, "target": target}
        wanted |= {"border": shown, "main": True}
        of_arm = [of_run for (arm, where, _), of_run in rows.items() if (arm, where) == (name, trained)]
        return [row["value"] for of_run in of_arm for row in of_run if wanted.items() <= row.items()]

    def cells(name: str, control: str = "") -> list[list[float]]:
        z = "z" if scores(name, "knn", "z_inv") == [] else "z_inv"
        return [
            scores(name, "transformation", "backbone", "rotation", "content", control),
            scores(name, "transformation", z, "rotation", "content", control),
            scores(name, "transformation", "z_equi", "rotation", "content", control),
            scores(name, "transformation", "backbone", "rotation", "zeros", control),
            scores(name, "transformation", "backbone", "rotation, absolute", "content", control),
            scores(name, "transformation", "backbone", "rotation, side", "content", control),
            scores(name, "transformation", "backbone", "translation", "content", control),
            scores(name, "transformation", "z_equi", "translation", "content", control),
            scores(name, "transformation", "backbone", "blur", "content", control),
            scores(name, "knn", "backbone", control=control),
            scores(name, "linear", "backbone", control=control),
        ]

    def mean(values: list[float]) -> float | None:
        return statistics.mean(values) if values else None

    plain, oracle = (mean(cells(name)[0]) for name in ("VICReg", "oracle (theta as label)"))
    for name in names:
        found = cells(name)
        own = mean(found[0])
        closed = MISSING
        if (
            own is not None
            and plain is not None
            and oracle is not None
            and name != "VICReg"
            and oracle - plain > HEADROOM
        ):
            closed = f"{100 * (own - plain) / (oracle - plain):.0f} %"
        lines.append(f"| {name} | {len(found[0])} | " + " | ".join(_cell(v) for v in found) + f" | {closed} |")
    lines.append(
        "| random encoder | 1 | " + " | ".join(_cell(v) for v in cells("VICReg", "random")) + f" | {MISSING} |"
    )
    return [*lines, ""]


def _cell(values: list[float]) -> str:
    if not values:
        return MISSING
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{spread}"


if __name__ == "__main__":
    main()
