"""The command line: parses, and calls the functions of the same names.

Exit status 0 done, 1 failed, 2 wrong use, 130 interrupted. Wrong use is what arguments, configuration, data and model
are refused for before the work begins; whatever is raised in the work is a failure.
"""

from __future__ import annotations

import dataclasses
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import tyro
import yaml
from rich.console import Console
from rich.markup import escape

from equicoherence.compare import compare, print_scores, score_table
from equicoherence.evaluation import TransformationConfig, evaluate
from equicoherence.evaluation.evaluate import score
from equicoherence.evaluation.pose_probes import PoseProbeConfig, pose_probes
from equicoherence.evaluation.threediebench import benchmark_3diebench
from equicoherence.quickstart import quickstart
from equicoherence.recipes import RECIPES, describe, recipe
from equicoherence.rendering import render
from equicoherence.rendering.workers import render_objects
from equicoherence.report.page import render_page, report
from equicoherence.report.poses import pose_table
from equicoherence.report.tables import summarise
from equicoherence.training import Interrupted, PretrainConfig, pretrain
from equicoherence.training.setup import set_up

T = TypeVar("T")
WORK, PREPARATION = (
    (pretrain, score, render_page, render_objects, pose_probes),
    (set_up,),
)  # pretrain first sets up, and refuses what cannot be
REFUSALS = (ValueError, FileNotFoundError, FileExistsError, yaml.YAMLError)
EXPECTED = (RuntimeError, OSError, ImportError)  # broken losses or images, full disks, what is not installed
FLAT = (tyro.conf.AvoidSubcommands, tyro.conf.ConsolidateSubcommandArgs)
Comma = Annotated[str, tyro.conf.arg(metavar="A,B,..")]
CommaOrNone = Annotated[str | None, tyro.conf.arg(metavar="A,B,..")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    error = Console(stderr=True)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage())
        return 0 if arguments else 2
    command, rest = arguments[0], arguments[1:]
    if command not in COMMANDS:
        error.print(
            f"command {command!r} is unknown; choose one of {', '.join(COMMANDS)}", markup=False, highlight=False
        )
        return 2
    try:
        COMMANDS[command](rest)
    except SystemExit as stop:  # argument errors and --help
        return stop.code if isinstance(stop.code, int) else 2
    except (Interrupted, KeyboardInterrupt) as stop:
        error.print(str(stop) or "interrupted", markup=False, highlight=False)
        return 130
    except Exception as problem:
        if isinstance(problem, REFUSALS) and not _work_had_begun(problem):
            error.print(f"error: {problem}", markup=False, highlight=False, soft_wrap=True)
            return 2
        if not isinstance(problem, EXPECTED):  # a bug: where it is helps who mends it
            traceback.print_exception(problem)
        error.print(f"failed: {problem}", markup=False, highlight=False, soft_wrap=True)
        return 1
    return 0


def _quickstart(arguments: list[str]) -> None:
    @dataclass
    class Arguments:
        """Train the plain method and ours on rendered objects, score them, print the table, write the page."""

        out: Path = Path("runs/quickstart")
        seed: int = 0

    given = _parse(Arguments, arguments, "quickstart")
    quickstart(given.out, seed=given.seed)


def _recipes(arguments: list[str]) -> None:
    @dataclass
    class Arguments:
        """List the recipes: names, hardware, time, expected scores."""

    _parse(Arguments, arguments, "recipes")
    console = Console(highlight=False, soft_wrap=True)
    for name in RECIPES:
        row = describe(name)
        console.print(f"[bold]{name}[/bold]  {escape(row['summary'])}")
        console.print(
            "    " + escape("; ".join(f"{key}: {row[key]}" for key in ("hardware", "time", "scores") if row.get(key)))
        )


def _pretrain(arguments: list[str]) -> None:
    plain = "--no-coherence" in arguments
    rest = [a for a in arguments if a != "--no-coherence"]
    name, rest = _positional(rest, "pretrain RECIPE", RECIPES)
    start = recipe(name) if name else PretrainConfig()
    start = start.plain() if plain else start

    @dataclass
    class Arguments:
        """Pretrain a recipe. Any field of its configuration is an option; --no-coherence gives the plain method.

        out: run directory, runs/RECIPE where none is given. resume: continue an interrupted run.
        """

        config: Annotated[PretrainConfig, tyro.conf.arg(name="")] = start
        out: Path | None = None
        resume: bool = False

    given = _parse(Arguments, rest, f"pretrain {name or 'RECIPE'}")
    out = given.out or Path("runs") / given.config.name
    pretrain(given.config, out, resume=given.resume)
    if os.environ.get("RANK", "0") != "0":
        return  # one of many processes: the first says it
    Console().print(
        f"{out} done; score it: equicoherence evaluate {out}   see it: equicoherence report {out}", highlight=False
    )


def _evaluate(arguments: list[str]) -> None:
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

    given = _parse(Arguments, arguments, "evaluate")
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
            tasks=_split(given.tasks),
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


def _compare(arguments: list[str]) -> None:
    @dataclass
    class Arguments:
        """Train and evaluate recipes side by side and print mean and spread; RECIPE:plain is the method without the
        task.

        seeds: runs of each recipe. tasks: transformation, knn, linear; all that the data allows where not given.
        """

        recipes: Annotated[tuple[str, ...], tyro.conf.Positional]
        seeds: int = 2
        out: Path = Path("runs/compare")
        data: str | None = None
        tasks: CommaOrNone = None
        max_steps: int | None = None

    given = _parse(Arguments, arguments, "compare")
    if not given.recipes:
        raise ValueError(f"compare needs recipes: {', '.join(RECIPES)}; append :plain for the method without the task")
    if given.seeds < 1:
        raise ValueError(f"--seeds is {given.seeds}, but at least 1 run of each recipe is needed")
    configs = {}
    for text in given.recipes:
        name, _, variant = text.partition(":")
        if variant not in ("", "plain"):
            raise ValueError(f"{text!r}: only ':plain' may follow a recipe's name")
        config = recipe(name).plain() if variant else recipe(name)
        changes = {"data": given.data, "max_steps": given.max_steps}
        if config.name in configs:
            raise ValueError(f"{text!r} is given twice; --seeds N trains a recipe several times")
        configs[config.name] = dataclasses.replace(config, **{k: v for k, v in changes.items() if v is not None})
    runs = compare(configs, given.out, seeds=range(given.seeds), tasks=_split(given.tasks))
    print_scores(runs)
    page = report([run for paths in runs.values() for run in paths], given.out / "report.html")
    Console().print(f"page: {page}", highlight=False)


def _report(arguments: list[str]) -> None:
    @dataclass
    class Arguments:
        """Write one self-contained page about runs: film strips, curves, scores, configurations."""

        runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
        out: Path | None = None

    given = _parse(Arguments, arguments, "report")
    Console().print(f"page: {report(given.runs, given.out)}", highlight=False)


def _render(arguments: list[str]) -> None:
    @dataclass
    class Arguments:
        """Render a data set in 3DIEBench's layout: views of meshes in random poses, with depth, masks and normals.

        meshes: a folder of OBJ, GLB, PLY, a mesh file, or 'procedural'. out: a new folder, or one to continue. views:
        images of each object. size: pixels. workers: threads; all cores where not given. paths: pairs of views of each
        object with states between them. states: of each. turn: largest angle of an object about each axis, in degrees,
        90 as in 3DIEBench. objects: at most so many of each category. bad-mesh-tolerance: share of the meshes that may
        be bad.
        """

        meshes: str
        out: Path
        views: int = 50
        size: int = 128
        seed: int = 0
        workers: int | None = None
        paths: int = 0
        states: int = 2
        turn: float = 90.0
        objects: int | None = None
        bad_mesh_tolerance: float = 0.01

    given = _parse(Arguments, arguments, "render")
    Console().print(f"look at it: {render(**vars(given))}", highlight=False)


def _benchmark(arguments: list[str]) -> None:
    @dataclass
    class Arguments:
        """Score frozen encoders on 3DIEBench, the real one or one that `render` made: pose, color, class, retrieval.

        model: run directories, timm:NAME, or weights files with --arch. data: the folder. out: 3diebench.json goes into
        OUT/MODEL. epochs: of the probes. views: of each object; those that most have where not given. sources: views of
        each object that retrieval starts from.
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

    given = _parse(Arguments, arguments, "benchmark")
    names = [Path(model).name.replace("timm:", "timm-") for model in given.model]
    if len(set(names)) < len(names):
        raise ValueError("two models have the same last name and would share a folder of --out; score them one by one")
    found = {}
    for model, name in zip(given.model, names):
        results = benchmark_3diebench(
            model,
            given.data,
            given.out / name,
            config=PoseProbeConfig(epochs=given.epochs),
            views=given.views,
            sources=given.sources,
            controls=given.controls,
            arch=given.arch,
            random_weights=given.random_weights,
            size=given.size,
        )
        found[model] = [results["rows"]]
    Console().print(pose_table(summarise(found), list(found)))


def _work_had_begun(problem: BaseException) -> bool:
    """Return whether an exception came through one of the functions in ``WORK``, and not from their preparation."""
    passed = {frame.f_code for frame, _ in traceback.walk_tb(problem.__traceback__)}
    work, preparation = ({function.__code__ for function in named} for named in (WORK, PREPARATION))
    return bool(passed & work) and not passed & preparation


COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "quickstart": _quickstart,
    "recipes": _recipes,
    "pretrain": _pretrain,
    "evaluate": _evaluate,
    "compare": _compare,
    "report": _report,
    "render": _render,
    "benchmark": _benchmark,
}


def _split(text: str | None) -> list[str] | None:
    return None if text is None else text.split(",")


def _parse(cls: type[T], arguments: list[str], name: str) -> T:
    return tyro.cli(cls, args=arguments, prog=f"equicoherence {name}", config=FLAT)


def _positional(arguments: list[str], what: str, known: Iterable[str]) -> tuple[str | None, list[str]]:
    """Take the first argument off; None where help is asked for instead."""
    if arguments and not arguments[0].startswith("-"):
        return arguments[0], arguments[1:]
    if "-h" in arguments or "--help" in arguments:
        return None, arguments
    raise ValueError(f"{what}: give a name first, one of {', '.join(known)}")


def _usage() -> str:
    return (
        "usage: equicoherence COMMAND ...\n\n"
        "  quickstart                 the main job on rendered objects, compared with the plain method\n"
        "  recipes                    names, hardware, time, expected scores\n"
        "  pretrain RECIPE            pretrain an encoder\n"
        "  evaluate MODEL...          score frozen encoders\n"
        "  compare RECIPE...          train and evaluate side by side, mean and spread\n"
        "  report RUN...              one page about runs\n"
        "  render                     a data set in 3DIEBench's layout, from meshes\n"
        "  benchmark 3diebench        score frozen encoders on such a set\n\n"
        "equicoherence COMMAND --help says more."
    )
