"""`equicoherence benchmark 3diebench`: score frozen encoders on such a set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from equicoherence.commands.arguments import parse
from equicoherence.loading import preparing


def run(arguments: list[str]) -> None:
    """Run the command with its arguments."""

    @dataclass
    class Arguments:
        """Score frozen encoders on 3DIEBench, the real one or one that `render` made: pose, color, class, retrieval.

        model: run directories, timm:NAME, or weights files, FILE@ARCH. data: the folder. out: 3diebench.json goes into
        OUT/MODEL; scores of the same weights, data and settings are kept. epochs: of the probes. views: of each object;
        those that most have where not given. sources: views of each object that retrieval starts from. arch: of weights
        files. size: input pixels of all but run directories.
        """

        name: Annotated[Literal["3diebench"], tyro.conf.Positional]
        model: tuple[str, ...]
        data: str
        out: Path = Path("runs/benchmark")
        epochs: int = 300
        views: int | None = None
        sources: int = 5
        controls: bool = True
        arch: str | None = None
        random_weights: bool = False
        size: int | None = None

    with preparing():
        given = parse(Arguments, arguments, "benchmark")
        from rich.console import Console

        from equicoherence.evaluation.poses.benchmark import benchmark_models
        from equicoherence.evaluation.poses.probes import PoseProbeConfig
        from equicoherence.reporting.poses import pose_table
        from equicoherence.reporting.tables import summarise

    found = benchmark_models(
        given.model,
        given.data,
        given.out,
        config=PoseProbeConfig(epochs=given.epochs),
        views=given.views,
        sources=given.sources,
        controls=given.controls,
        arch=given.arch,
        random_weights=given.random_weights,
        size=given.size,
    )
    console = Console()
    if not console.is_terminal:
        console.width = 200  # a table that is written to a file is not cut
    rows = {model: [results["rows"]] for model, results in found.items()}
    console.print(pose_table(summarise(rows), list(found)))
