"""What is handed out is whole: the source has all files of the repository, the wheel the package and its licence."""

from __future__ import annotations

import re
import subprocess
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def tracked() -> set[str]:
    """Return the names of the files of the repository, or skip the test outside one."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no repository: an unpacked source has all it was given")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name for name in listed.stdout.splitlines() if (ROOT / name).is_file()}


def test_the_source_holds_every_file_of_the_repository_and_no_other(tmp_path: Path) -> None:
    from hatchling.builders.sdist import SdistBuilder

    names = tracked()
    (path,) = SdistBuilder(str(ROOT)).build(directory=str(tmp_path))
    with tarfile.open(path) as archive:
        held = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    assert names - held == set()
    assert {name for name in held - names if not (ROOT / name).is_file()} == {"PKG-INFO"}


def test_the_wheel_holds_the_package_alone(tmp_path: Path) -> None:
    from hatchling.builders.wheel import WheelBuilder

    names = {name.removeprefix("src/") for name in tracked() if name.startswith("src/")}
    (path,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(path) as archive:
        held = set(archive.namelist())
    assert names <= held
    assert {name.split("/")[0] for name in held - names} <= {
        "equicoherence",
        f"equicoherence-{PROJECT['version']}.dist-info",
    }
    assert any(name.endswith("licenses/LICENSE") for name in held)


def test_the_version_is_dated_in_the_changelog_and_in_the_citation() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    dated = re.findall(r"^## (\S+) \((\d{4}-\d\d-\d\d)\)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert dated[0] == (PROJECT["version"], citation["date-released"])
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]


def test_the_citation_names_both_papers_as_the_readme_does() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    papers = {each["url"] for each in citation["references"]}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert papers == set(re.findall(r"https://arxiv.org/abs/[\d.]+", readme.split("\n## ")[0]))
    assert [len(each["authors"]) for each in citation["references"]] == [3, 6]


def test_the_tour_lists_every_extra() -> None:
    tour = (
        (ROOT / "docs" / "index.md").read_text(encoding="utf-8").partition("| extra | for |")[2].partition("\n## ")[0]
    )
    listed = [
        name for line in tour.splitlines() for name in re.findall(r"`([a-z]+)`", line.split("|")[1] if line else "")
    ]
    assert sorted(listed) == sorted(PROJECT["optional-dependencies"])


def test_all_files_that_people_fill_in_are_yaml_and_what_the_workflow_runs_is_there() -> None:
    for path in (ROOT / ".github").rglob("*.yml"):
        assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict), path
    text = (ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    assert [name for name in re.findall(r"tests/[\w/.]+", text) if not (ROOT / name).exists()] == []
    classified = re.findall(r"Python :: (3\.\d+)", " ".join(PROJECT["classifiers"]))
    assert yaml.safe_load(text)["jobs"]["linux"]["strategy"]["matrix"]["python"] == classified
    targets = re.search(r"run: make (.*)", text)
    assert targets is not None
    assert all(f"\n{target}:" in (ROOT / "Makefile").read_text(encoding="utf-8") for target in targets[1].split())
