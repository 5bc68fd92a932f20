"""Lists with commas on the command line: none of their parts is lost unsaid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
import tyro

from equicoherence.cli import main
from equicoherence.commands.arguments import Comma, CommaOrNone, parse, split


@dataclass
class Arguments:
    """Do something.

    models: of any kind.
    """

    models: Annotated[tuple[str, ...], tyro.conf.Positional]
    tasks: CommaOrNone = None
    of_images: Comma = "all"
    size: int = 1
    controls: bool = True


def test_spaces_beside_commas_are_no_part_of_a_name() -> None:
    assert split("segmentation, depth ,video") == ["segmentation", "depth", "video"]


@pytest.mark.parametrize(
    "given", [["--tasks", "a,b", "--tasks", "c"], ["--tasks=a", "RUN", "--tasks=b,c"], ["--tasks", "a", "--tasks=b,c"]]
)
def test_a_list_that_is_given_twice_is_refused_with_what_was_meant(given: list[str]) -> None:
    with pytest.raises(ValueError, match="--tasks is given 2 times: give it once, with commas: --tasks "):
        parse(Arguments, given, "evaluate")


def test_a_list_of_several_words_is_known_by_either_spelling() -> None:
    with pytest.raises(ValueError, match=r"--of-images is given 2 times.*: --of-images a,b$"):
        parse(Arguments, ["--of_images", "a", "--of-images", "b"], "evaluate")


def test_other_options_may_be_given_again_and_lists_once_each() -> None:
    given = parse(Arguments, ["RUN", "--size", "2", "--tasks", "a,b", "--size", "3", "--of-images=c"], "evaluate")
    assert given == Arguments(("RUN",), "a,b", "c", 3)


@pytest.mark.parametrize("apart", [["a=1", "b=2"], ["a=1,", "b=2"]])
def test_spaces_in_a_list_are_answered_with_commas(apart: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(Arguments, ["RUN", "--tasks", *apart], "evaluate")
    said = capsys.readouterr().err
    assert "Unrecognized options: b=2" in said
    assert "--tasks is a list with commas and no spaces; did you mean --tasks a=1,b=2?" in said
    with pytest.raises(SystemExit):
        parse(Arguments, ["RUN", "--tasks", "a=1", "--sizes", "2"], "evaluate")
    assert "commas" not in capsys.readouterr().err


def test_a_value_of_an_option_that_has_none_is_answered_with_both_forms(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(Arguments, ["RUN", "--controls", "False"], "evaluate")
    assert "--controls takes no value: write --controls or --no-controls" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        parse(Arguments, ["--controls", "RUN", "--sizes", "2"], "evaluate")
    assert "takes no value" not in capsys.readouterr().err


def test_the_command_says_so_and_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "RUN", "--settings", "depth.steps=1", "--settings", "depth.pixels=64"]) == 2
    assert "with commas: --settings depth.steps=1,depth.pixels=64" in capsys.readouterr().err
    assert main(["evaluate", "RUN", "--settings", "depth.steps=1", "depth.pixels=64"]) == 2
    assert "did you mean --settings depth.steps=1,depth.pixels=64?" in capsys.readouterr().err
