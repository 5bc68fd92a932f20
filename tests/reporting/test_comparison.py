"""Downstream scores side by side: the table, the page, and what they say of what is missing or unlike."""

from __future__ import annotations

import base64
import io
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from equicoherence.evaluation.task import Row
from equicoherence.reporting.comparison.evaluated import Evaluated
from equicoherence.reporting.comparison.lines import columns, group, score_lines
from equicoherence.reporting.comparison.page import comparison
from tests.reporting.html_page import Page
from tests.reporting.scored import Write, change_parts, change_settings, part, scores, table_of


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


@pytest.mark.parametrize("kind", ["webp", "png"])
def test_what_is_given_is_shown_once_and_pictures_are_inside(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(features, "check", lambda name: kind == "webp")
    folders = [write("a", 0.4), write("b", 0.7), write("c", 0.9, None)]
    (folders[2] / "pictures" / "0.png").unlink()
    page = Page(comparison(folders, tmp_path / "out"))
    images = [(attributes["alt"], attributes["src"] or "") for tag, attributes in page.tags if tag == "img"]
    levels = {"image": 0.2, "true <classes>": 0.6, "a": 0.4, "b": 0.7, "random weights": 0.1}
    assert [alt for alt, _ in images] == [f"frame <7>, {name}" for name in levels]
    for (_, source), level in zip(images, levels.values()):
        media_type, data = source.split(",")
        assert media_type == f"data:image/{kind};base64"
        pixels = np.array(Image.open(io.BytesIO(base64.b64decode(data))))
        assert pixels.shape == (20, 60, 3)
        assert (pixels == round(255 * level)).all(), "without loss"
    assert [a["title"] for _, a in page.tags if a.get("class") == "blank"] == ["no frame <7>, c"]


def test_edges_of_classes_are_kept_and_photographs_are_compressed(write: Write, tmp_path: Path) -> None:
    run, generator = write("a", random=None), np.random.default_rng(0)
    classes = np.array([[128, 64, 128], [0, 0, 192], [64, 0, 0]], np.uint8)[generator.integers(3, size=(40, 1200))]
    photograph = generator.integers(0, 255, (40, 60, 3), np.uint8)
    Image.fromarray(classes).save(run / "pictures" / "0.png")
    Image.fromarray(photograph).save(run / "pictures" / "image.png")
    page = Page(comparison([run], tmp_path / "out"))
    found = {}
    for attributes in (attributes for tag, attributes in page.tags if tag == "img"):
        data = base64.b64decode((attributes["src"] or "").split(",")[1])
        found[attributes["alt"]] = len(data), np.array(Image.open(io.BytesIO(data)))
    shown = found["frame <7>, a"][1]
    assert shown.shape[1] == 1120, "reduced"
    assert set(map(tuple, shown.reshape(-1, 3).tolist())) == set(map(tuple, classes[0, :50].tolist()))
    size, shown = found["frame <7>, image"]
    assert shown.shape == photograph.shape
    assert (shown != photograph).any()
    assert size < photograph.size / 2


def test_what_is_given_to_encoders_is_named_by_them_where_it_differs(write: Write, tmp_path: Path) -> None:
    folders = [write("a", 0.4, None), write("b", 0.7, None), write("c", 0.7, None)]
    Image.fromarray(np.zeros((20, 61, 3), np.uint8)).save(folders[1] / "pictures" / "image.png")
    page = Page(comparison(folders, tmp_path / "out"))
    alts = [attributes["alt"] for tag, attributes in page.tags if tag == "img"]
    given = ["image (a, c)", "image (b)", "true <classes>"]
    assert alts == [f"frame <7>, {name}" for name in [*given, "a", "b", "c"]]


def test_a_legend_names_the_classes_in_their_order(write: Write, tmp_path: Path) -> None:
    folders = [write("a"), write("b")]
    more = [3, "sky", "#808080"]
    change_parts(folders[1], lambda part: part["shown"]["frame <7>"]["legend"].append(more))
    text = comparison(folders, tmp_path / "out").read_text(encoding="utf-8")
    swatch = '<li><span class="swatch" style="--swatch: {}"></span>{}</li>'
    classes = (("#804080", "street &lt;wide&gt;"), ("#808080", "sky"), ("#102030", "car"))
    items = "".join(swatch.format(*each) for each in classes)
    assert text.count(f'<ul class="legend" aria-label="Legend">{items}</ul>') == 1


def test_a_page_is_written_without_the_pictures(write: Write, tmp_path: Path) -> None:
    folders = [write("a"), write("b")]
    shutil.rmtree(folders[0] / "pictures")
    change_parts(folders[1], lambda part: part.pop("shown"))
    page = comparison(folders, tmp_path / "out")
    assert "0.500" in page.read_text(encoding="utf-8")
    assert not [tag for tag, _ in Page(page).tags if tag == "img"]
    assert "What is" not in page.read_text(encoding="utf-8")


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
