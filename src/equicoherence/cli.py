"""The command line: parses, and calls the functions of the same names.

Exit status 0 done, 1 failed, 2 wrong use, 130 interrupted. Wrong use is what arguments, configuration, data and model
are refused for before the work begins; whatever is raised in the work is a failure.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Sequence

import yaml
from rich.console import Console

from equicoherence.data.source import BadImage
from equicoherence.training import Interrupted

REFUSALS = (ValueError, FileNotFoundError, FileExistsError, yaml.YAMLError)
EXPECTED = (RuntimeError, OSError, ImportError, BadImage)  # broken losses or images, full disks, what is not installed


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
        importlib.import_module(f"equicoherence.commands.{command}").run(rest)
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


def _work_had_begun(problem: BaseException) -> bool:
    return False


COMMANDS = dict.fromkeys(
    ("quickstart", "recipes", "pretrain", "evaluate", "compare", "report", "tasks", "render", "embed", "export")
)


def _usage() -> str:
    return (
        "usage: equicoherence COMMAND ...\n\n"
        "  quickstart                 the main job on rendered objects, compared with the plain method\n"
        "  recipes                    names, hardware, time, expected scores\n"
        "  pretrain RECIPE            pretrain an encoder\n"
        "  evaluate MODEL...          score frozen encoders\n"
        "  compare RECIPE...          train and evaluate side by side, mean and spread\n"
        "  report RUN...              one page about runs\n"
        "  tasks [NAME]               the downstream tasks: what they measure, data sets, settings\n"
        "  render                     a data set in 3DIEBench's layout, from meshes\n"
        "  benchmark 3diebench        score frozen encoders on such a set\n"
        "  embed MODEL                features of every image, in a file\n"
        "  export RUN                 a run's encoder for timm, ONNX or torch\n\n"
        "equicoherence COMMAND --help says more."
    )
