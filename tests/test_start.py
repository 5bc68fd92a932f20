"""The first seconds of the command: what help and refusals cost, Ctrl-C while modules load, a reader that goes."""

import functools
import signal
import subprocess
import sys

import pytest

from equicoherence.loading import SLOW

# A process counts the memory of the one that started it as its own until it runs, so a small one is between.
MEASURE = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[2:])
_, status, used = os.wait4(process.pid, 0)
with open(sys.argv[1], "w") as file:
    print(os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, used.ru_maxrss, file=file)
"""
HEAVY = {"torch", "torchvision", "timm", "numba", "matplotlib", "numpy", "accelerate"}


COMMAND = [sys.executable, "-X", "importtime", "-m", "equicoherence"]  # a line on standard error for each import


def _imported(line):
    return line.rpartition("|")[2].strip() if line.startswith("import time:") else ""


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ("--help", 0, "pretrain RECIPE"),
        ("--version", 0, "equicoherence "),
        ("recipes", 0, "dinov2-paper"),
        ("recipes --help", 0, "expected scores"),
        ("tasks", 0, "--sets of segmentation"),
        ("tasks segmentatoin", 2, "is it 'segmentation'?"),
        ("evaluate --help", 0, "--transformations"),
        ("render --help", 0, "3diebench"),
        ("", 2, "usage"),
        ("pretrian", 2, "is it 'pretrain'?"),
        ("pretrain", 2, "vicreg-tiny"),
        ("pretrain vicreg-tyni", 2, "is it 'vicreg-tiny'?"),
        ("compare vicreg-tiny simclr-tyni:plain", 2, "is it 'simclr-tiny'?"),
        ("evaluate", 2, "timm:NAME"),
        ("--verison", 2, "is it '--version'?"),
        ("help", 2, "is it '--help'?"),
        ("evaluate x --takss knn", 2, "error: option '--takss' is unknown; is it '--tasks'? `equicoherence evaluate"),
        ("report", 2, "a run directory"),
        ("embed x --wrong", 2, "option '--wrong' is unknown"),
        (
            "export x --to tensorflow",
            2,
            "error: --to 'tensorflow' is unknown; choose one of onnx, program, timm, torch",
        ),
        ("render --meshes procedural", 2, "error: equicoherence render needs --out PATH;"),
        ("quickstart --sede 1", 2, "is it '--seed'?"),
        ("benchmark imagenet", 2, "unknown"),
    ],
)
def test_help_and_refusals_are_cheap(arguments, status, said, tmp_path):
    measured = tmp_path / "measured"
    command = [sys.executable, "-c", MEASURE, str(measured), *COMMAND, *arguments.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found, seconds, memory = measured.read_text().split()
    lines = done.stderr.splitlines()
    imported = {_imported(line).partition(".")[0] for line in lines}
    shown = done.stdout + "\n".join(line for line in lines if not _imported(line))
    assert int(found) == status, shown
    assert said in shown
    assert "Traceback" not in shown
    assert "equicoherence" in imported
    assert not imported & HEAVY
    assert float(seconds) < 0.8
    assert int(memory) < 150 * 2 ** (20 if sys.platform == "darwin" else 10)  # macOS counts bytes


@pytest.mark.parametrize("module", ["tyro", "numpy", "torch", "timm"])
def test_ctrl_c_while_modules_load_is_quiet(module, tmp_path):
    command = [*COMMAND, "pretrain", "simclr-tiny", "--data", "objects"]
    said = []
    heard = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # which a shell's background jobs ignore
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path, preexec_fn=heard) as process:
        for line in process.stderr:
            if _imported(line) == module:
                process.send_signal(signal.SIGINT)
            if not _imported(line) and line.strip() != SLOW:  # which a slow machine may say first
                said.append(line)
    assert process.returncode == 130
    assert said == ["interrupted\n"]


@pytest.mark.parametrize("arguments", [["--help"], ["recipes"], ["evaluate", "--help"]])
def test_a_reader_that_goes_is_no_failure_to_speak_of(arguments):
    command = [sys.executable, "-m", "equicoherence", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1
