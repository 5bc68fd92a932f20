"""Lists with commas on the command line: none of their parts is lost unsaid."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import pytest
import tyro

from equicoherence.cli import main
from equicoherence.commands.arguments import Comma, CommaOrNone, FloatOrNone, parse, split
from equicoherence.commands.option_errors import option_error, options_of


@dataclass
class Rate:
    """A learning rate."""

    lr: float = 1.0

    def __post_init__(self) -> None:
        if self.lr <= 0:
            raise ValueError(f"lr must be above 0, got {self.lr}")


@dataclass
class Required:
    """Do something else.

    Args:
        model: A RUN, or the name of a model, which is described by a text of more than one line, as it is here.
        out: PATH of the file, which is described by a text that is longer than a line of the help can be, too.
    """

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    out: Path
    seed: int = 0


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
    kind: Literal["small", "large"] = "small"
    window: tuple[int, int] = (1, 2)
    jobs: int | None = None
    rate: FloatOrNone = None
    mean: tuple[float, float, float] | None = None
    layers: tuple[int, ...] = ()
    borders: str = ""
    optim: Rate = field(default_factory=Rate)
    other: Rate = field(default_factory=Rate)


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
    message = r"^--tasks is a list with commas and no spaces; did you mean --tasks a=1,b=2\?$"
    with pytest.raises(ValueError, match=message):
        parse(Arguments, ["RUN", "--tasks", *apart], "evaluate")
    assert capsys.readouterr() == ("", "")


MISTAKES = {
    "RUN --sizes 2": "option '--sizes' is unknown; is it '--size'? `equicoherence evaluate --help` describes the "
    "options",
    "RUN --of_imags a": "option '--of_imags' is unknown; is it '--of-images'? `equicoherence evaluate --help` "
    "describes the options",
    "RUN --lr=3": "option '--lr' is unknown; is it '--optim.lr' or '--other.lr'? `equicoherence evaluate --help` "
    "describes the options",
    "RUN --frobnicate": "option '--frobnicate' is unknown; `equicoherence evaluate --help` describes the options",
    "RUN --controls False": "--controls takes no value: write --controls or --no-controls",
    "--no-controls RUN --size 2.5": "--size cannot be '2.5': a whole number is expected",
    "RUN --optim.lr fast": "--optim.lr cannot be 'fast': a number is expected",
    "RUN --optim.lr -1": "lr must be above 0, got -1.0",
    "RUN --kind larg": "--kind 'larg' is unknown; is it 'large'? Choose one of large, small",
    "RUN --size": "--size needs a value",
    "RUN --window 1": "--window needs 2 values",
    "RUN --window 1 x": "--window cannot be 'x': 2 whole numbers are expected",
    "RUN --jobs=two": "--jobs cannot be 'two': a whole number is expected",
    "--jobs 1.5 RUN": "--jobs cannot be '1.5': a whole number is expected",
    "RUN --rate fast": "--rate cannot be 'fast': a number is expected",
    "RUN --mean .4 x .3": "--mean cannot be 'x': 3 numbers are expected",
    "RUN --layers 1 b": "--layers cannot be 'b': whole numbers are expected",
    "--models x": "option '--models' is unknown; `equicoherence evaluate --help` describes the options",
}


@pytest.mark.parametrize("given", MISTAKES)
def test_each_mistake_is_one_sentence_with_what_was_given(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(MISTAKES[given])}$"):
        parse(Arguments, given.split(), "evaluate")
    assert capsys.readouterr() == ("", "")


def test_a_long_value_is_quoted_as_it_was_given_in_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    value = "x" * 100
    with pytest.raises(ValueError, match=f"^--jobs cannot be '{value}': a whole number is expected$"):
        parse(Arguments, ["RUN", "--jobs", value], "evaluate")
    with pytest.raises(ValueError, match=f"^--kind '{value[:40]}' is unknown; choose one of large, small$"):
        parse(Arguments, ["RUN", "--kind", value[:40]], "evaluate")
    assert os.environ["COLUMNS"] == "40"


def test_all_that_is_missing_is_named_and_its_help_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    message = "equicoherence embed needs MODEL, --out PATH; `equicoherence embed --help` describes what can be given"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        parse(Required, [], "embed")
    with pytest.raises(ValueError, match="option '--utt' is unknown; is it '--out'"):
        parse(Required, ["RUN", "--utt", "x"], "embed")
    assert capsys.readouterr() == ("", "")


def test_neither_colors_nor_the_edges_of_a_box_are_part_of_the_sentence() -> None:
    edge = "\x1b[31m│\x1b[0m"
    box = f"╭─ Value error ─╮\n{edge} \x1b[1mit is\x1b[0m {edge}\n{edge} wrong {edge}\n{edge} ───── {edge}\n│ help  │\n"
    assert str(option_error("p", [], {}, box)) == "it is wrong"
    assert options_of("│ \x1b[1m--resume, --no-resume\x1b[0m │\n│ --lr FLOAT  of --size │") == {
        "--resume": "--no-resume", "--lr": ""
    }  # fmt: skip


def test_a_word_that_nothing_takes_is_quoted() -> None:
    with pytest.raises(ValueError, match=r"^3: no option or argument takes this; `equicoherence embed --help`"):
        parse(Required, ["RUN", "--out", "x", "3"], "embed")


def test_the_command_says_so_and_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "RUN", "--settings", "depth.steps=1", "--settings", "depth.pixels=64"]) == 2
    assert "with commas: --settings depth.steps=1,depth.pixels=64" in capsys.readouterr().err
    assert main(["evaluate", "RUN", "--settings", "depth.steps=1", "depth.pixels=64"]) == 2
    assert "did you mean --settings depth.steps=1,depth.pixels=64?" in capsys.readouterr().err
