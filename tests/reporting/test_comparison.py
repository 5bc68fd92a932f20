"""Downstream scores side by side: the table, the page, and what they say of what is missing or unlike."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from equicoherence.evaluation.task import Row
from equicoherence.reporting.comparison.evaluated import Evaluated
from equicoherence.reporting.comparison.lines import columns, group, score_lines
from equicoherence.reporting.comparison.page import comparison
from equicoherence.reporting.tables import MISSING
from tests.reporting.scored import Write, change_file, change_parts, change_settings, part, scores, table_of, write_file
from tests.reporting.test_page import Page


def test_seeds_of_one_recipe_are_one_column_with_mean_and_spread(write: Write, tmp_path: Path) -> None:
    folders = [
        write("a0", 0.4, 0.1, name="a", seed=0),
        write("a1", 0.6, 0.2, name="a", seed=1),
        write("b0", 0.7, None, name="b"),
    ]
    page = comparison(folders, tmp_path / "out")
    assert page == tmp_path / "out" / "comparison.html"
    header, miou, error = table_of(tmp_path / "out")
    assert header == ["task", "protocol", "data", "metric", "a (2 seeds)", "b", "random weights", "constant"]
    place = ["segmentation", "frozen, linear", "CamVid"]
    assert miou == [*place, "mIoU ↑", "0.500 ±.141", "**0.700**", "0.150 ±.071", "0.050"]
    assert error[4:] == ["8.500 ±.141", "**8.300**", "8.850 ±.071", "12.500"]  # the lowest error is the best


def test_the_page_shows_what_the_table_shows_and_folds_the_rest(write: Write, tmp_path: Path) -> None:
    out = comparison([write("a", 0.4), write("b", 0.7)], tmp_path / "out")
    page, text = Page(out), out.read_text(encoding="utf-8")
    for shown in ("0.400", "0.700", "0.050", "2 encoders", "digest of a", "cores 2", "torch 2.11.0", "2026-03-14"):
        assert shown in page.text
    assert "<strong>0.700</strong>" in text
    (folded,) = re.findall(r"<details><summary>One by one: 1 score .*?</details>", text)
    assert "road" in folded
    assert "0.350" in folded
    assert "road" not in text.replace(folded, "")
    (used,) = re.findall(r"<details><summary>Settings and counts.*?</details>", text)
    assert ">pixels<" in used
    assert ">367<" in used
    assert '<th scope="row">input, pixels</th><td>64 x 96</td>' in used
    for digest in ("f11e5", "5b117", ">files<", ">splits.train<"):
        assert digest not in text, "which data they are is compared, and not shown"
    assert str(tmp_path) not in text, "where the data lie is nobody else's concern"


def test_pictures_stand_side_by_side_and_inside(write: Write, tmp_path: Path) -> None:
    folders = [write("a", 0.4), write("b", 0.7), write("c", 0.9, None)]
    (folders[2] / "pictures" / "0.png").unlink()
    page = Page(comparison(folders, tmp_path / "out"))
    images = {attributes["alt"]: attributes["src"] or "" for tag, attributes in page.tags if tag == "img"}
    assert list(images) == ["frame <7>, a", "frame <7>, b", "frame <7>, random weights"]
    for column, level in (("a", 0.4), ("b", 0.7), ("random weights", 0.1)):
        kind, data = images[f"frame <7>, {column}"].split(",")
        assert kind == "data:image/jpeg;base64"
        pixels = np.array(Image.open(io.BytesIO(base64.b64decode(data))))
        assert pixels.shape == (20, 60, 3)
        assert abs(pixels.mean() - 255 * level) < 3
    assert [a["title"] for _, a in page.tags if a.get("class") == "blank"] == ["no frame <7>, c"]


def test_nothing_is_fetched_and_each_link_leads_somewhere(write: Write, tmp_path: Path) -> None:
    page = Page(comparison([write("a")], tmp_path / "out"))
    assert not {"link", "iframe"} & {tag for tag, _ in page.tags}
    assert page.runs_its_own_script_alone()
    assert all((attributes.get("src") or "data:").startswith("data:") for _, attributes in page.tags)
    links = [attributes["href"] or "" for tag, attributes in page.tags if tag == "a"]
    assert {link[1:] for link in links} == {"summary", "task-0", "encoders"}
    assert {link[1:] for link in links} <= {attributes.get("id") for _, attributes in page.tags}


def test_each_architecture_has_its_own_random_weights(write: Write, tmp_path: Path) -> None:
    comparison([write("a"), write("b", arch="resnet"), write("c", arch="resnet", size=96)], tmp_path / "out")
    names = [f"random weights, {arch}" for arch in ("vit", "resnet, 64 px", "resnet, 96 px")]
    assert table_of(tmp_path / "out")[0][4:] == ["a", "b", "c", *names, "constant"]


def test_each_way_an_architecture_is_built_has_its_own_random_weights(write: Write, tmp_path: Path) -> None:
    comparison([write("a", random=0.1), write("b", random=0.3, build="wide")], tmp_path / "out")
    header, first = table_of(tmp_path / "out")[:2]
    assert header[6:8] == ["random weights, vit, built as a", "random weights, vit, built as b"]
    assert first[6:8] == ["0.100", "0.300"]


def test_one_name_of_two_architectures_is_two_encoders(write: Write, tmp_path: Path) -> None:
    comparison([write("a", name="same"), write("b", name="same", arch="resnet")], tmp_path / "out")
    assert table_of(tmp_path / "out")[0][4:6] == ["same (vit, 64 px)", "same (resnet, 64 px)"]


def test_random_weights_that_win_are_bold_themselves(write: Write, tmp_path: Path) -> None:
    comparison([write("a", 0.1, 0.3)], tmp_path / "out")
    assert table_of(tmp_path / "out")[1][4:] == ["0.100", "**0.300**", "0.050"]


def test_a_lone_score_is_not_bold_and_what_is_not_measured_is_a_dash() -> None:
    parts = [part([Row("top1", 0.5)], data=data) for data in ("first", "second")]
    evaluated = [Evaluated(Path(name), scores(of, name)) for name, of in (("a", parts), ("b", parts[:1]))]
    groups = group(evaluated)
    first, second = score_lines(groups)
    assert columns(groups) == ["a", "b"], "random weights were not scored"
    assert first.best() == set(), "all are printed alike"
    assert second.best() == set()
    assert second.entries.keys() == {"a"}
    assert second.floors is None


def test_seeds_that_lack_a_score_are_counted(write: Write, tmp_path: Path) -> None:
    folders = [write(f"a{seed}", 0.5, None, name="a", seed=seed) for seed in (0, 1)]
    change_parts(folders[1], lambda each: each.update(data="ADE20k"))
    comparison(folders, tmp_path / "out")
    assert {line[4] for line in table_of(tmp_path / "out")[1:]} == {"0.500 (1 of 2)", "8.500 (1 of 2)"}


def test_scores_of_other_settings_are_named(write: Write, tmp_path: Path) -> None:
    folders = [write("a"), write("b")]
    change_settings(folders[1], pixels=96, seed=3)
    page = Page(comparison(folders, tmp_path / "out"))
    remark = "segmentation, frozen, linear on CamVid: not all scores have the same settings: pixels 64 / 96"
    assert remark in page.text
    assert f"- {remark}\n" in (tmp_path / "out" / "comparison.md").read_text()


def remarks_of(out: Path) -> list[str]:
    return re.findall(
        r"^- segmentation, .* same settings: (.*)$", (out / "comparison.md").read_text(), flags=re.MULTILINE
    )


def test_random_weights_of_other_settings_than_the_encoder_are_named(write: Write, tmp_path: Path) -> None:
    run = write("a")
    change_parts(run, lambda each: each["settings"].update(pixels=96) if each["control"] else None)
    comparison([run], tmp_path / "out")
    assert remarks_of(tmp_path / "out") == ["pixels 64 / 96"]


def test_moved_data_are_the_same_and_other_files_or_samples_are_named(write: Write, tmp_path: Path) -> None:
    folders = [write("a"), write("b")]
    change_settings(folders[1], folder=str(tmp_path / "elsewhere"))
    comparison(folders, tmp_path / "out")
    assert remarks_of(tmp_path / "out") == []
    change_settings(folders[1], files="0ther", splits={"train": "12 of the folder, 2c0de"})
    comparison(folders, tmp_path / "out")
    splits = "splits.train 367 of the folder, 5b117 / 12 of the folder, 2c0de"
    assert remarks_of(tmp_path / "out") == [f"2 versions of the data's files, {splits}"]


def test_two_configurations_of_one_name_are_two_encoders(write: Write, tmp_path: Path) -> None:
    folders = [write(f"a{seed}", 0.4, name="a", seed=seed, config=config) for seed, config in enumerate("ffe")]
    comparison(folders, tmp_path / "out")
    names = [f"a (vit, 64 px, configuration {config})" for config in "fe"]
    assert table_of(tmp_path / "out")[0][4:6] == [f"{names[0]} (2 seeds)", names[1]]


def test_one_seed_with_two_weights_is_no_mean(write: Write, tmp_path: Path) -> None:
    folders = [write("old/scored", 0.4, name="a"), write("new/scored", 0.6, name="a")]
    comparison(folders, tmp_path / "out")
    header, miou, _ = table_of(tmp_path / "out")
    assert header[4:6] == ["a, old", "a, new"]
    assert miou[4:6] == ["0.400", "**0.600**"]


def test_date_and_machine_are_those_of_the_parts(write: Write, tmp_path: Path) -> None:
    run = write("a")
    days = iter(("2026-03-10", "2026-03-12"))
    change_parts(run, lambda each: each.update(date=next(days), machine={"cores": 8}))
    text = Page(comparison([run], tmp_path / "out")).text
    assert "evaluated 2026-03-10 to 2026-03-12" in text
    assert "cores 8" in text
    assert "cores 2" not in text


def turned(*values: float, parameter: str = "", target: str = "rotation") -> list[Row]:
    place = {"target": target, "border": "content", "representation": "z_equi", "probe": "mlp", "floor": -0.25}
    return [Row("r2", value, parameter=parameter, repeat=n, **place) for n, value in enumerate(values)]


def on_images(name: str = "a") -> dict[str, Any]:
    """Return scores of tasks on images, the transformation's with two repeats."""
    parts = [
        part(turned(0.7, 0.8), task="transformation", variant="rotation", protocol="frozen, probes of pairs"),
        part([Row("top1", 0.625, representation="backbone", floor=0.1)], settings={"limit": 20000}),
        part([Row("top1", 0.125, representation="backbone", floor=0.1)], control="random", settings={"limit": 20000}),
    ]
    return scores(parts, name)


def test_tasks_on_images_say_what_is_read_and_how(tmp_path: Path) -> None:
    page = Page(comparison([write_file(tmp_path / "a", on_images())], tmp_path / "out"))
    header, turn, knn = table_of(tmp_path / "out")
    assert header[4:] == ["reads", "a", "random weights", "constant"]
    about = ["transformation", "frozen, probes of pairs", "shapes", "rotation R2 (content) ↑", "z_equi (mlp)"]
    assert turn == [*about, "0.750", MISSING, "\N{MINUS SIGN}0.250"]
    place = ["k-NN", "frozen, 20 neighbours", "shapes", "top-1 ↑", "backbone"]
    assert knn == [*place, "**62.5 %**", "12.5 %", "10.0 %"]
    assert "20000" in page.text


def test_the_three_figures_of_an_angle_are_main_figures_one_below_the_other(tmp_path: Path) -> None:
    sides = [replace(row, metric="accuracy", floor=0.5) for row in turned(0.625, target="rotation, side")]
    rows = [*turned(0.25), *turned(0.75, target="rotation, absolute"), *sides]
    out = comparison([write_file(tmp_path / "a", scores([part(rows, task="transformation")]))], tmp_path / "out")
    found = [[row[3], row[5], row[-1]] for row in table_of(tmp_path / "out")[1:]]
    assert found == [
        ["rotation R2 (content) ↑", "0.250", "\N{MINUS SIGN}0.250"],
        ["absolute rotation R2 (content) ↑", "0.750", "\N{MINUS SIGN}0.250"],
        ["rotation sign accuracy (content) ↑", "0.625", "0.500"],
    ]
    (summary,) = re.findall(r'<section id="summary".*?</section>', out.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert all(value in summary for value in ("0.250", "0.750", "0.625"))


def test_each_main_figure_is_in_the_summary_and_each_parameter_below(tmp_path: Path) -> None:
    rows = [*turned(0.5, target="se2"), *turned(0.25, target="se2", parameter="angle"), *turned(0.75, target="new")]
    file = write_file(tmp_path / "a", scores([part(rows, task="transformation")]))
    text = comparison([file], tmp_path / "out").read_text(encoding="utf-8")
    (summary,) = re.findall(r'<section id="summary".*?</section>', text, flags=re.DOTALL)
    for shown, there in (("0.500", True), ("0.750", True), ("0.250</td>", False)):
        assert (f'<td class="number">{shown}' in summary) == there
    (folded,) = re.findall(r"<details><summary>One by one: 1 score .*?</details>", text)
    assert "angle" in folded


def test_settings_that_differ_in_all_variants_of_a_task_are_named_once(tmp_path: Path) -> None:
    folders = []
    for name, limit in (("a", 100), ("b", 200)):
        parts = [
            part(turned(0.5, target=target), task="transformation", variant=target, protocol="frozen",
                 settings={"train": limit, "transformations": [target]})
            for target in ("rotation", "se2")
        ]  # fmt: skip
        folders.append(write_file(tmp_path / name, scores(parts, name)))
    page = Page(comparison(folders, tmp_path / "out"))
    remark = "transformation, frozen on shapes: not all scores have the same settings: train 100 / 200"
    assert page.text.count(remark) == 1
    assert "have the same settings: transformations" not in page.text
    assert "['rotation'] / ['se2']" in page.text, "among the settings"


def first_part(about: dict[str, Any]) -> dict[str, Any]:
    return next(iter(about["parts"].values()))


DAMAGE: dict[str, Callable[[dict[str, Any]], object]] = {
    "no parts": lambda about: about.pop("parts"),
    "no architecture": lambda about: about.pop("arch"),
    "a name that is a list": lambda about: about.update(name=["a"]),
    "a configuration that is a list": lambda about: about.update(config=["a"]),
    "a score that is no number": lambda about: first_part(about)["rows"][0].update(value=None),
    "a target that is a list": lambda about: first_part(about)["rows"][0].update(target=["a"]),
    "a metric that is unknown": lambda about: first_part(about)["rows"][0].update(metric="other"),
    "an input that is no size": lambda about: first_part(about).update(input=[64]),
    "a caption that is no text": lambda about: first_part(about).update(caption=3),
    "pictures that are none": lambda about: first_part(about).update(pictures={"title": 3}),
}


def test_a_score_too_large_for_a_number_is_damage(write: Write, tmp_path: Path) -> None:
    path = write("a", 0.4375) / "scores.json"
    path.write_text(path.read_text().replace("0.4375", "1e999"))  # which reads as infinity
    with pytest.raises(ValueError, match=r"is damaged .*has the value inf"):
        comparison([path.parent], tmp_path / "out")


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_named(write: Write, tmp_path: Path, damage: str) -> None:
    path = write("a") / "scores.json"
    change_file(path.parent, DAMAGE[damage])
    with pytest.raises(ValueError, match=re.escape(f"{path} is damaged")):
        comparison([path.parent], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_compared_is_refused(write: Write, tmp_path: Path) -> None:
    run = write("a")
    with pytest.raises(ValueError, match="no scores to compare"):
        comparison([], tmp_path / "out")
    with pytest.raises(FileNotFoundError, match=re.escape(f"there is no folder {str(tmp_path / 'empty')!r}")):
        comparison([run, tmp_path / "empty"], tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=re.escape(f"{tmp_path / 'empty' / 'scores.json'} is missing")):
        comparison([run, tmp_path / "empty"], tmp_path / "out")
    with pytest.raises(ValueError, match="is a file; give the folder"):
        comparison([run], run / "scores.json")
    twin = write("b", name="a", weights="digest of a")
    with pytest.raises(ValueError, match="both hold segmentation of the same weights; give one"):
        comparison([run, twin], tmp_path / "out")
    (run / "scores.json").write_text("{")
    with pytest.raises(ValueError, match=re.escape(f"{run / 'scores.json'} is damaged")):
        comparison([run], tmp_path / "out")


def test_a_folder_given_twice_is_one_encoder(write: Write, tmp_path: Path) -> None:
    run = write("a")
    assert "1 encoder, evaluated" in Page(comparison([run, run / ".." / "a"], tmp_path / "out")).text


def test_hostile_values_stay_text(write: Write, tmp_path: Path) -> None:
    attack = "\"'><script>alert(1)</script> | \ud800\n| x"
    run = write("a", name=attack, arch=attack, versions={attack: attack})
    change_settings(run, **{attack: attack})
    page = Page(comparison([run], tmp_path / "out"))
    assert page.runs_its_own_script_alone()
    assert len(table_of(tmp_path / "out")) == 3
