"""A new method, decoder, recipe or command is one file, or a function in one: shown on a copy of the package."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import equicoherence
from equicoherence.coherence import CoherenceConfig
from equicoherence.methods import METHODS, MethodConfig
from equicoherence.models import DECODERS
from tests.small import picture_folder

METHOD = '''
"""A method: the cosine of two views."""

from dataclasses import dataclass

import torch.nn.functional as F

from equicoherence.methods.method import Method, MethodConfig


@dataclass(frozen=True)
class CosineConfig(MethodConfig):
    """Weight of the one term."""

    weight: float = 1.0


class Cosine(Method, config=CosineConfig):
    """The views' cosine."""

    def __init__(self, d_inv, config):
        super().__init__()
        self.config = config

    def forward(self, student, teacher=None, crops=None):
        a, b = student.summary
        return {"cosine": -F.cosine_similarity(a, b).mean() * self.config.weight}
'''
DECODER = '''
"""A decoder: all pixels from the mean of the tokens."""

import torch
from torch import nn

from equicoherence.models.decoders.decoder import Decoder, named


class FlatDecoder(Decoder):
    def __init__(self, d_equi, targets, size):
        super().__init__()
        self.shape = (targets, 3, size, size)
        self.pixels = nn.Linear(2 * d_equi, targets * 3 * size * size)

    def forward(self, z1, z2, grid, view2):
        return self.pixels(torch.cat([z1.mean(dim=1), z2.mean(dim=1)], dim=-1)).unflatten(1, self.shape)


@named("flat")
def build(wanted):
    return FlatDecoder(wanted.d_equi, wanted.targets, wanted.size)
'''
RECIPE = '''

def cosine() -> PretrainConfig:
    """The cosine of two views, flat decoder.

    hardware: 1 CPU core
    time: a second
    scores: none
    """
    from equicoherence.methods.cosine import CosineConfig

    return _convolutional("cosine-tiny", CosineConfig(2.0), CoherenceConfig(d_equi=8, decoder="flat"))
'''
COMMAND = '''
"""`equicoherence greet NAME`: a greeting."""


def run(arguments):
    print("hello", *arguments)
'''


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    """Return a function that runs the command of a copy of the package with four additions; it returns the output."""
    folder = tmp_path_factory.mktemp("extended")
    package = folder / "src" / "equicoherence"
    shutil.copytree(Path(equicoherence.__file__).parent, package)  # with what is compiled
    (package / "methods" / "cosine.py").write_text(METHOD.lstrip())
    (package / "models" / "decoders" / "flat.py").write_text(DECODER.lstrip())
    (package / "commands" / "greet.py").write_text(COMMAND.lstrip())
    with (package / "recipes" / "tiny.py").open("a") as file:
        file.write(RECIPE)

    def command(*arguments):
        environment = {**os.environ, "PYTHONPATH": str(folder / "src")}
        full = [sys.executable, "-m", "equicoherence", *arguments]
        done = subprocess.run(full, capture_output=True, text=True, cwd=folder, env=environment)
        return done.returncode, done.stdout + done.stderr

    return command


def test_a_new_command_is_in_the_help_and_runs(extended):
    assert re.search(r"^  greet NAME +a greeting$", extended("--help")[1], flags=re.MULTILINE)
    assert extended("greet", "you") == (0, "hello you\n")


def test_a_new_recipe_of_a_new_method_and_decoder_trains_and_its_run_is_read_back(extended, tmp_path):
    assert "cosine-tiny  The cosine of two views, flat decoder.\n" in extended("recipes")[1]
    data, out = picture_folder(tmp_path / "data"), tmp_path / "run"
    few = ["--optim.batch-size", "8", "--views.source", "32", "--threads", "1", "--method.weight", "3"]
    train = ["pretrain", "cosine-tiny", "--data", str(data), "--out", str(out), *few]
    status, said = extended(*train, "--max-steps", "1")
    assert status == 0, said
    config = (out / "config.yaml").read_text()
    assert "kind: Cosine\n  weight: 3.0" in config
    assert "decoder: flat" in config
    status, said = extended(*train, "--max-steps", "1", "--resume")
    assert status == 0, said  # read from config.yaml, and the same


def test_every_method_has_a_configuration_of_its_own_and_a_kind():
    assert len({method.__name__ for method in METHODS.values()}) == len(METHODS) >= 14
    assert all(issubclass(config, MethodConfig) for config in METHODS)


def test_the_decoders_to_choose_from_are_those_that_name_themselves_and_the_control():
    assert list(DECODERS) == ["conv", "cross-attention", "cross-attention-other", "render"]
    for name in (*DECODERS, "oracle"):
        assert CoherenceConfig(decoder=name).decoders == (name,)
    with pytest.raises(ValueError, match=f"decoder 'draw' is unknown.*{', '.join((*DECODERS, 'oracle'))}"):
        CoherenceConfig(decoder="render+draw")
