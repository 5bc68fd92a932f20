"""The experiment on the decoder of [P2]: its configurations, and its page of scores."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from equicoherence.evaluation.task import Row
from equicoherence.reporting.comparison.evaluated import Evaluated, read_evaluated
from equicoherence.reporting.tables import MISSING
from equicoherence.training import PretrainConfig
from tests.reporting.scored import part, scores, write_file

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"


@pytest.fixture
def experiment(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(EXPERIMENTS)
    import conv_decoder  # pyright: ignore[reportMissingImports]

    return conv_decoder


def scored(folder: Path, name: str, content: float, zeros: float, random: Sequence[float] = ()) -> Evaluated:
    """Return an encoder of these rotation R2 with both borders, and those of random weights where they are given."""

    def rotation(values: Sequence[float], control: str) -> dict[str, Any]:
        about: dict[str, Any] = {"target": "rotation", "probe": "mlp", "representation": "backbone"}
        borders = zip(("zeros", "content"), reversed(values))
        rows = [Row("r2", value, border=border, **about) for border, value in borders]
        where: dict[str, Any] = {"task": "transformation", "variant": "rotation", "probe_order": ["mlp"]}
        return part(rows, **where, control=control)

    knn = part([Row("top1", 0.125, representation="backbone")])
    parts = [rotation((content, zeros), ""), knn, *([rotation(random, "random")] if random else [])]
    return read_evaluated(write_file(folder, scores(parts, name)))


def test_rows_are_in_the_order_of_the_ladder_below_random_weights(experiment: ModuleType, tmp_path: Path) -> None:
    second = scored(tmp_path / "a", "second", 0.5, 0.75)
    first = scored(tmp_path / "b", "first", 0.25, 0.875, random=(0.0625, 0.375))
    rows = experiment.rows_of([second, first], ["first", "second", "not trained yet"])
    assert list(rows) == ["random weights", "first", "second"]
    columns = [title for title, *_ in experiment.COLUMNS]
    found = {
        name: {title: score.mean for title, score in zip(columns, row, strict=True) if score}
        for name, row in rows.items()
    }
    content, zeros = "rotation R2, what the image shows", "rotation R2, zeros"
    assert found == {
        "random weights": {content: 0.0625, zeros: 0.375},
        "first": {content: 0.25, zeros: 0.875, "k-NN accuracy": 0.125},
        "second": {content: 0.5, zeros: 0.75, "k-NN accuracy": 0.125},
    }
    page = experiment.page([second, first], ["first", "second"])
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:1] == "|"]
    assert table[0] == ["encoder", *columns]
    assert table[3][:5] == ["first", "0.250", "0.875", MISSING, MISSING]
    assert table[3][-2:] == ["12.5 %", MISSING]
    assert "compare the two columns, also for random\nweights" in page


def test_the_ladder_changes_what_its_names_say_and_nothing_else(experiment: ModuleType) -> None:
    found = experiment.ladder("photographs")

    def differences(name: str, base: str) -> dict[str, object]:
        mine, other = fields(found[name]), fields(found[base])
        return {field: value for field, value in mine.items() if value != other[field]}

    conv, outside, plain = "+ conv [P2]", "+ conv [P2], g outside", "VICReg"
    both, inside = (f"+ render and [P1]{where}, on half of the samples" for where in (", g outside", ""))
    named = [
        (f"{conv}, independent flips, zeros", conv, {"views.flip": "independent", "views.border": "zeros"}),
        (f"{conv}, independent flips", conv, {"views.flip": "independent"}),
        (outside, conv, {"views.invariant": "base"}),
        (f"{outside}, weight 4", outside, {"coherence.weight": 4.0}),
        (f"{outside}, 64 equivariant features", outside, {"coherence.d_equi": 64}),
        (f"{outside}, 192 equivariant features", outside, {"coherence.d_equi": 192}),
        (f"{outside}, 1500 steps", outside, {"max_steps": 1500}),
        (f"{plain}, 1500 steps", plain, {"max_steps": 1500}),
        (f"{plain}, independent flips", plain, {"views.flip": "independent"}),
        (f"{plain}, no flips", plain, {"views.flip": "none"}),
        (both, outside, {"coherence.decoder": "render+cross-attention", "coherence.share": 0.5}),
        (inside, both, {"views.invariant": "path"}),
    ]
    assert {name for name, *_ in named} | {conv, plain} == set(found)
    assert [differences(name, base) for name, base, _ in named] == [changed for *_, changed in named]
    shared = fields(found[conv])
    of_conv = ("coherence.decoder", "coherence.d_equi", "views.flip", "views.border", "views.invariant", "max_steps")
    assert [shared[field] for field in of_conv] == ["conv", 128, "shared", "content", "path", 300]
    assert found[plain].coherence is None


def fields(config: PretrainConfig) -> dict[str, object]:
    """Return the fields of a configuration, of its views and of its task by dotted names."""
    parts = {"views": config.views, "coherence": config.coherence}
    nested = {
        f"{name}.{field.name}": getattr(each, field.name)
        for name, each in parts.items()
        if each is not None
        for field in dataclasses.fields(each)
    }
    own = {field.name: getattr(config, field.name) for field in dataclasses.fields(config) if field.name not in parts}
    return own | nested
