"""The house: rooms that import downwards alone, without circles, and names that stand for one thing."""

import ast
import importlib
import itertools
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import equicoherence

SOURCE = Path(equicoherence.__file__).parent
ROOT = Path(__file__).resolve().parents[1]


def parts(page, heading):
    """Return the parts in each row of the table under a heading of a page, files without their ending."""
    section = (ROOT / page).read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = (line.split("|")[1] for line in section.splitlines() if line.startswith("| `"))
    return tuple(tuple(re.findall(r"`(\w+)(?:/|\.py)`", row)) for row in rows)


ROOMS = parts("CONTRIBUTING.md", "The parts of the package")
"""The lowest first: a room imports those of its own row and of the rows above it."""


def _module(path):
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_module(path): path for path in sorted(SOURCE.rglob("*.py"))}


def _imports(node):
    """Yield the modules of the package that code imports, in functions too, but for type checkers alone."""
    for part in ast.iter_child_nodes(node):
        if isinstance(part, ast.If) and isinstance(part.test, ast.Name) and part.test.id == "TYPE_CHECKING":
            yield from _imports(ast.Module(part.orelse, []))
            continue
        if isinstance(part, ast.ImportFrom) and part.module and part.module.startswith("equicoherence."):
            base = part.module.removeprefix("equicoherence.")
            names = (f"{base}.{name.name}" for name in part.names)
            yield from (name if name in MODULES else base for name in names)
        elif isinstance(part, ast.Import):
            names = (name.name for name in part.names)
            yield from (name.removeprefix("equicoherence.") for name in names if name.startswith("equicoherence."))
        yield from _imports(part)


IMPORTS = {name: set(_imports(ast.parse(path.read_text(encoding="utf-8")))) for name, path in MODULES.items()}


def test_every_module_has_a_room_and_imports_are_seen():
    assert sorted({name.partition(".")[0] for name in MODULES if name}) == sorted(room for row in ROOMS for room in row)
    assert IMPORTS["training.loop"] >= {"training.setup", "data", "errors"}
    assert IMPORTS["commands.embed"] >= {"embedding", "commands.arguments"}  # one of them in a function


HEIGHT = {room: number for number, row in enumerate(ROOMS) for room in row}


def test_the_readme_lists_the_rooms_in_this_order():
    listed = [[HEIGHT[room] for room in row] for row in parts("README.md", "How it is laid out")]
    assert len(listed) > 5
    assert all(max(below) < min(above) for below, above in itertools.pairwise(listed))


def test_no_room_imports_upwards():
    found = set()
    for name, imported in IMPORTS.items():
        for other in imported if name else ():
            here, there = name.partition(".")[0], other.partition(".")[0]
            if HEIGHT[there] > HEIGHT[here]:
                found.add((name, there))
    assert not found


def test_no_imports_run_in_a_circle():
    reached = {name: set(imported) for name, imported in IMPORTS.items()}
    while True:
        grown = {name: seen.union(*(reached[other] for other in seen)) for name, seen in reached.items()}
        if grown == reached:
            break
        reached = grown
    assert not {name for name, seen in reached.items() if name in seen}


def _loaded(statement):
    code = f"{statement}; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("room", "with_it"),
    [
        ("paths", {"errors"}),
        ("methods", {"errors", "models", "paths"}),
        ("recipes", {"errors"}),
    ],
)
def test_importing_a_room_loads_that_room_and_what_it_stands_on(room, with_it):
    loaded = _loaded(f"import equicoherence.{room}")
    rooms = {name.split(".")[1] for name in loaded if name.startswith("equicoherence.")}
    assert rooms == {"quiet", "when_used", room, *with_it}
    assert not loaded & {"matplotlib", "accelerate", "trimesh"}


def test_a_configuration_needs_no_library_that_builds_or_trains_encoders():
    loaded = _loaded("from equicoherence.recipes.from_file import named_config; named_config('adapt-tiny')")
    assert "equicoherence.training.config" in loaded
    assert not loaded & {"timm", "torchvision", "accelerate", "sympy"}


def test_a_model_on_a_command_line_is_checked_without_torch_or_timm():
    loaded = _loaded("from equicoherence.commands.model_argument import checked_model; checked_model('hf-hub:a/b')")
    assert "equicoherence.models.prefixes" in loaded
    assert not loaded & {"torch", "timm", "huggingface_hub"}
    wrong = "from equicoherence.cli import main; assert main(['evaluate', '{}', '--data', '.']) == 2"
    for model in ("timm:resnet5", "resnet50"):
        assert not _loaded(wrong.format(model)) & {"torch", "timm", "huggingface_hub"}


def test_importing_the_package_loads_none_of_its_rooms():
    loaded = _loaded("import equicoherence; dir(equicoherence); equicoherence.__version__")
    rooms = {name.partition(".")[2] for name in loaded if name.startswith("equicoherence")}
    assert rooms == {"", "quiet", "version", "when_used"}
    assert not loaded & {"torch", "numpy"}


def test_the_public_names_are_there_for_people_and_for_type_checkers():
    assert {"pretrain", "evaluate", "compare", "report", "embed", "export", "render", "load_model"} <= set(
        equicoherence.__all__
    )
    tree = ast.parse((SOURCE / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {name.asname: node.module for node in block.body if isinstance(node, ast.ImportFrom) for name in node.names}
    assert set(typed) == set(equicoherence.__all__) <= set(dir(equicoherence))
    for name, module in typed.items():
        assert getattr(equicoherence, name) is getattr(importlib.import_module(module), name)
    with pytest.raises(AttributeError, match="no attribute 'pretrian'"):
        equicoherence.pretrian  # noqa: B018
    assert (SOURCE / "py.typed").is_file()


def test_no_public_name_hides_a_module():
    found = set()
    for package in [name for name, path in MODULES.items() if path.name == "__init__.py"]:
        home = importlib.import_module(f"equicoherence.{package}".strip("."))
        for module in pkgutil.iter_modules(home.__path__):
            if module.name == "__main__":
                continue
            importlib.import_module(f"{home.__name__}.{module.name}")
            if not isinstance(getattr(home, module.name), ModuleType) or module.name in getattr(home, "__all__", ()):
                found.add(f"{package}.{module.name}".strip("."))
    assert not found


def test_the_version_is_that_of_the_installed_package():
    assert equicoherence.__version__ == importlib.import_module("importlib.metadata").version("equicoherence")
