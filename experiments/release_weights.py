"""Make the folder of a release of weights, from finished and scored runs; `equicoherence weights` reads it.

python experiments/release_weights.py RUN NAME=RUN ... --out FOLDER [--license LICENSE] [--page docs/models.md]

All files lie side by side, as those of a release on a web page do: manifest.json, README.md, and for each run
NAME.FILE for each file of its folder. NAME is that of the run's folder if none is given.
"""

from __future__ import annotations

import argparse
import datetime
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pages import around_block, write_block
from published import slug

from equicoherence import __version__
from equicoherence.errors import Refused, refusing
from equicoherence.evaluation.fingerprint import fingerprint
from equicoherence.evaluation.model import load_model
from equicoherence.evaluation.store import read_scores
from equicoherence.exporting import export
from equicoherence.files import alone_at, sha256_of
from equicoherence.json_file import read_json, read_json_lines, write_json
from equicoherence.model_card import model_card
from equicoherence.models.model_folder import check_run_folder
from equicoherence.models.prefixes import LOCAL
from equicoherence.models.shared_files import CARD, CONFIG
from equicoherence.pushing import measured
from equicoherence.releases.listing import rows_of
from equicoherence.releases.manifest import (
    FILE,
    OF_WEIGHTS,
    Figure,
    ReleasedFile,
    Weights,
    check_name,
    manifest_values,
    read_manifest,
)
from equicoherence.reporting.main_figures import read_runs
from equicoherence.reporting.names import metric_name, source_name, target_name
from equicoherence.reporting.origin import SAMPLES, Taken, joined_variants, origin_line, settings_taken
from equicoherence.reporting.summary import Score, select, summarise_scores
from equicoherence.reporting.tables import Grid, number
from equicoherence.training.config_file import load_config
from equicoherence.training.public_config import last_name
from equicoherence.training.run import is_finished

BLOCK = "weights"


def release(runs: Mapping[str, Path], out: Path, license: str | None = None) -> str:
    """Write the folder of a release, whole or not at all; return its tables, as Markdown.

    runs: name of the weights -> run directory.
    license: of all weights, by its name on the Hugging Face Hub.

    Raises FileNotFoundError for a run without scores, ValueError for one that is not finished or was scored with other
    weights and for a name that whoever fetches them would refuse, FileExistsError where ``out`` has files or is a link.
    """
    with refusing():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise FileExistsError(f"{out} exists; give another --out")
        if out.is_symlink():
            raise FileExistsError(f"{out} is a link, and a new folder cannot take its name; give another --out")
        for name in runs:
            check_name("name of weights", name)
            check_name("file", f"{name}.{max(OF_WEIGHTS, key=len)}")
        for run in runs.values():
            _check(run)
    with alone_at(out, "releases into"), tempfile.TemporaryDirectory(dir=out.parent, suffix=".tmp") as name:
        aside = Path(name) / "whole"
        aside.mkdir()
        held = [_add(aside, each, run, license) for each, run in runs.items()]
        write_json(aside / FILE, manifest_values(held))
        read_manifest((aside / FILE).read_text(encoding="utf-8"), str(out))  # as whoever fetches them will
        scores = [each for of_run in read_runs({name: [run] for name, run in runs.items()}).values() for each in of_run]
        text = tables(held, scores)
        (aside / CARD).write_text(f"# Weights of equicoherence {__version__}\n\n{text}\n", encoding="utf-8")
        if out.exists():
            out.rmdir()
        shutil.move(aside, out)
    return text


def tables(held: Sequence[Weights], scores: Sequence[Mapping[str, Any]]) -> str:
    """Return what a release holds, and the checksums of its files, as Markdown."""
    titles, rows = rows_of(held)
    files = [[file.file, file.bytes, f"`{file.sha256}`"] for weights in held for file in weights.files]
    return f"""{Grid(titles, rows).markdown()}

Scores: {origin_line(scores)}. All main scores stand in the README.md of each.
Other settings give other scores:

{_settings_lines(scores)}

{Grid(["file", "bytes", "SHA-256"], files).markdown()}"""


def _check(run: Path) -> None:
    check_run_folder(run)
    if not is_finished(run):
        raise ValueError(f"{run} is not finished; go on with it: equicoherence pretrain --resume --out {run}")
    ((scores,),) = read_runs({"": [run]}).values()
    if scores["weights"] != fingerprint(load_model(run)):
        raise ValueError(f"the scores of {run} are of other weights; score it again: equicoherence evaluate {run}")


def _add(folder: Path, name: str, run: Path, license: str | None) -> Weights:
    """Add the files of a run to the folder of a release; return what its manifest says of them."""
    config = load_config(run / "config.yaml")
    with tempfile.TemporaryDirectory() as aside:
        exported = export(run, "timm", Path(aside) / name)
        sizes = measured(exported)
        architecture = read_json(exported / CONFIG, "export the run again")["architecture"]
        card = model_card(run, config, f"{LOCAL}{name}", **sizes, license=license)
        (exported / CARD).write_text(card, encoding="utf-8")
        files = tuple(_move(path, folder / f"{name}.{path.name}") for path in sorted(exported.iterdir()))
    return Weights(
        name=name,
        architecture=architecture,
        size=config.views.size,
        parameters=sizes["parameters"],
        configuration=config.name,
        data=last_name(config.data),
        steps=max(line["step"] for line in read_json_lines(run / "metrics.jsonl", "train again") if "step" in line),
        seed=config.seed,
        license=license or "",
        version=__version__,
        date=datetime.date.today().isoformat(),
        scores=_figures(read_scores(run / "scores.json")),
        files=files,
    )


def _move(path: Path, target: Path) -> ReleasedFile:
    shutil.move(path, target)
    return ReleasedFile(path.name, target.name, target.stat().st_size, sha256_of(target))


def _figures(scores: Mapping[str, Any]) -> tuple[Figure, ...]:
    """Return the main scores of a run, in reading order; borders and probes are named where there are several."""
    found = [e for e in select(summarise_scores({"": [scores]}), control="", parameter="") if e.main]
    several = [field for field in ("border", "probe") if len({getattr(e, field) for e in found} - {""}) > 1]
    settings = joined_variants(settings_taken(scores["parts"].values()))
    return tuple(_figure(e, several, settings[Taken(e.task, "", e.protocol, e.data)]) for e in found)


def _figure(entry: Score, several: Sequence[str], settings: Mapping[str, Sequence[str]]) -> Figure:
    border = f"({entry.border})" if entry.border and "border" in several else ""
    words = (target_name(entry.target) or entry.task, metric_name(entry.metric), border)
    reads = source_name(entry.representation, entry.probe if "probe" in several else "")
    images = [(name.removeprefix(SAMPLES), values) for name, values in settings.items() if name.startswith(SAMPLES)]
    counts = ", ".join(f"{' / '.join(values)} {split}" for split, values in images)
    return Figure(
        entry.task, " ".join(filter(None, words)), reads, counts, entry.mean, number(entry.mean, entry.metric)
    )


def _settings_lines(scores: Sequence[Mapping[str, Any]]) -> str:
    """Return how each task was scored, a line each."""
    used = joined_variants(settings_taken(part for each in scores for part in each["parts"].values()))
    rows = {
        f"{taken.task} ({taken.on})": "; ".join(f"{name}: {' / '.join(values)}" for name, values in fields.items())
        for taken, fields in used.items()
    }
    return Grid(["task", "settings"], list(rows.items())).markdown()


def _named(given: Sequence[str]) -> dict[str, Path]:
    """Return the runs by name; a folder that exists is a run without a name, whatever its own name holds.

    Raises ValueError where a text names no run, and where two have one name.
    """
    found: dict[str, Path] = {}
    for text in given:
        name, equals, place = ("", "", text) if text and Path(text).is_dir() else text.partition("=")
        if not (place if equals else text):
            raise ValueError(f"{text!r} names no run; give RUN or NAME=RUN")
        run = Path(place if equals else text)
        name = name if equals else slug(run.resolve().name)
        if name in found:
            raise ValueError(f"two runs are called {name}: {found[name]} and {run}; give names, as in {name}-2={run}")
        found[name] = run
    return found


def main() -> None:
    """Make the folder, and write its tables into a page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="[NAME=]RUN", help="finished and scored run directories")
    parser.add_argument("--out", type=Path, required=True, help="a new folder")
    parser.add_argument("--license", help="of the weights, by its name on the Hugging Face Hub; none is named without")
    parser.add_argument("--page", type=Path, help="a page whose block of weights is written anew")
    given = parser.parse_args()
    try:
        with refusing():
            runs = _named(given.runs)
            if given.page is not None:
                around_block(given.page, BLOCK)  # or refused, before anything is written
        text = release(runs, given.out, given.license)
    except Refused as error:
        parser.error(str(error))
    if given.page is not None:
        write_block(text, given.page, BLOCK)
    print(f"{given.out}: {len(runs)} weights; look at them: equicoherence weights --from {given.out}")


if __name__ == "__main__":
    sys.exit(main())
