"""`equicoherence evaluate`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from equicoherence.commands.arguments import Comma, CommaOrNone, parse, split
from equicoherence.compare import score_table
from equicoherence.evaluation import TransformationConfig, evaluate
from equicoherence.report.tables import summarise


def run(arguments: list[str]) -> None:
    """Run the command with its arguments."""

    @dataclass
    class Arguments:
        """Score frozen encoders: run directories, timm:NAME, or weights files with --arch.

        data: images, a run's own where not given. tasks: transformation, knn, linear; all that the data allows where
        not given. out: folder for results.json (one model). transformations, borders, probes: of the transformation
        task. images: of its probes' training (a third as many test). limit: labelled images for knn and linear. arch:
        of a weights file. size: of models that are no runs. random-weights: evaluate a timm model's initialisation.
        bad-image-tolerance: share of images that may be bad; a run's own where not given, else that of pretraining.
        """

        models: Annotated[tuple[str, ...], tyro.conf.Positional]
        data: str | None = None
        tasks: CommaOrNone = None
        out: Path | None = None
        transformations: Comma = "rotation,translation,scale,color,blur,se2,all"
        borders: Comma = "content,zeros"
        probes: Comma = "linear,mlp,attentive"
        images: int = 3000
        limit: int = 20000
        repeats: int = 1
        controls: bool = True
        arch: str | None = None
        random_weights: bool = False
        size: int | None = None
        bad_image_tolerance: float | None = None

    given = parse(Arguments, arguments, "evaluate")
    if not given.models:
        raise ValueError("evaluate needs a model: a run directory, timm:NAME, or a weights file with --arch NAME")
    settings = TransformationConfig(
        transformations=tuple(given.transformations.split(",")),
        borders=tuple(given.borders.split(",")),  # type: ignore[arg-type]
        probes=tuple(given.probes.split(",")),
        train=given.images,
        test=max(2, given.images // 3),
        repeats=given.repeats,
    )
    if given.out is not None and len({Path(model).name for model in given.models}) < len(given.models):
        raise ValueError(
            "two models have the same last name and would share a folder of --out; evaluate them one by one"
        )
    results = {}
    for model in given.models:
        results[model] = evaluate(
            model,
            data=given.data,
            tasks=split(given.tasks),
            out=given.out if len(given.models) == 1 or given.out is None else given.out / Path(model).name,
            transformation=settings,
            limit=given.limit,
            controls=given.controls,
            arch=given.arch,
            random_weights=given.random_weights,
            size=given.size,
            bad_image_tolerance=given.bad_image_tolerance,
        )
    entries = summarise({name: [found["rows"]] for name, found in results.items()})
    Console().print(
        score_table(entries, list(results), probe="mlp" if "mlp" in settings.probes else settings.probes[0])
    )
