"""What docs/extending.md shows is true: each addition is one file, or a function in one, on a copy of the package."""

import json
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

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "extending.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r'```python title="([\w/.]+)"\n(.*?)```', PAGE, flags=re.DOTALL))
"""Name of each file that the page shows -> what is in it."""
SCORES = """
import json
from pathlib import Path

from PIL import Image

from equicoherence.evaluation import evaluate
from equicoherence.paths import named_path
from equicoherence.sets import DECLARATIONS, find_sets

laws = named_path("stretch").check()
for name in ("pictures", "classes"):
    Path("sets", name).mkdir(parents=True)
    for number in range(6):
        Image.new("RGB" if name == "pictures" else "L", (8, 8), number % 2).save(Path("sets", name, f"{number}.png"))
(found,) = find_sets(Path("sets"), DECLARATIONS)
masks = [found.open(split).mask(0).max().item() for split in ("train", "val")]
scores = evaluate("baseline:thumbnail", tasks=["brightness"], data="data", out=Path("scores"), size=32)
(row,) = next(iter(scores["parts"].values()))["rows"]
print(json.dumps({"laws": len(laws), "set": found.name, "masks": masks, "r2": row["value"]}))
"""
"""What asks for the path, the reader and the task of the page, and prints what it got."""


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    """Return a function that runs a copy of the package with what the page adds to it; it returns the output."""
    folder = tmp_path_factory.mktemp("extended")
    package = folder / "src" / "equicoherence"
    shutil.copytree(Path(equicoherence.__file__).parent, package)  # with what is compiled
    for name, code in FILES.items():
        path = package / name
        if path.exists():  # a recipe is a function in a file that is there
            path.write_text(path.read_text(encoding="utf-8") + "\n\n" + code, encoding="utf-8")
            continue
        if not path.parent.exists():
            path.parent.mkdir()
            (path.parent / "__init__.py").touch()
        path.write_text(code, encoding="utf-8")

    def command(*arguments, program=("-m", "equicoherence")):
        environment = {**os.environ, "PYTHONPATH": str(folder / "src")}
        full = [sys.executable, *program, *arguments]
        done = subprocess.run(full, capture_output=True, text=True, cwd=folder, env=environment)
        return done.returncode, done.stdout + done.stderr

    command.folder = folder
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


def test_a_new_path_holds_its_laws_a_new_reader_finds_its_set_and_a_new_task_scores(extended):
    picture_folder(extended.folder / "data")
    status, said = extended("-c", SCORES, program=())
    assert status == 0, said
    found = json.loads(re.findall(r"^{.*}$", said, flags=re.MULTILINE)[0])
    assert found["set"] == "pairs"
    assert found["masks"] == [1, 0]  # images 1 and 0
    assert found["laws"] >= 7
    assert found["r2"] > 0.9  # a thumbnail knows how bright it is


def test_every_method_has_a_configuration_of_its_own_and_a_kind():
    assert len({method.__name__ for method in METHODS.values()}) == len(METHODS) >= 14
    assert all(issubclass(config, MethodConfig) for config in METHODS)


def test_the_decoders_to_choose_from_are_those_that_name_themselves_and_the_control():
    assert list(DECODERS) == ["conv", "cross-attention", "cross-attention-other", "render", "geodesic", "solid"]
    for name in (*DECODERS, "oracle"):
        assert CoherenceConfig(decoder=name).decoders == (name,)
    with pytest.raises(ValueError, match=f"decoder 'draw' is unknown.*{', '.join((*DECODERS, 'oracle'))}"):
        CoherenceConfig(decoder="render+draw")
