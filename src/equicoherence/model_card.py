"""The card of a run, on the Hub or in a release: what it is, its scores, data and recipe, and how to load it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

import yaml

from equicoherence import __version__
from equicoherence.coherence.config import ORACLE
from equicoherence.evaluation.store import FILE, read_scores
from equicoherence.json_file import read_json_lines
from equicoherence.methods import METHODS
from equicoherence.metric_fields import CHANGED, STOPPED
from equicoherence.models.shared_files import HEADS
from equicoherence.models.train_setting import HEAD, read_train
from equicoherence.reporting.adaptation.adaptation import read_adaptation
from equicoherence.reporting.labels import receives_labels
from equicoherence.reporting.main_figures import score_grid
from equicoherence.reporting.origin import origin_line
from equicoherence.reporting.summary import select, summarise_scores
from equicoherence.training.config import PretrainConfig
from equicoherence.training.config_file import to_dict
from equicoherence.training.public_config import last_name, public_values
from equicoherence.training.resume_command import ADAPTS

TAGS = ["timm", "equicoherence", "self-supervised-learning", "equivariance", "image-feature-extraction"]
PAPERS = "[2412.03314](https://arxiv.org/abs/2412.03314), [2503.18753](https://arxiv.org/abs/2503.18753)"
MEANINGS = {
    "backbone": "the features of the encoder, which timm gives",
    "z_inv": "the invariant part",
    "z_equi": "the equivariant part",
    "z": "the features after the head",
    "joined": (
        "[features | z_equi], where z_equi of each image is scaled to a third of the norm of its features: "
        "`torch.cat([f, z * f.norm(dim=1, keepdim=True) / z.norm(dim=1, keepdim=True) / 3], dim=1)`"
    ),
}
LORA = {"lora": "of attention", "lora-all": "of attention and of MLPs"}


def model_card(
    run: Path,
    config: PretrainConfig,
    model: str,
    *,
    parameters: int,
    widths: Mapping[str, int],
    teacher: bool = False,
    license: str | None = None,
) -> str:
    """Return the card as Markdown, under the metadata that the Hub reads.

    run: whose ``scores.json``, where there is one, is its table; for a run of `adapt` also the table of that.
    model: how it is loaded, in timm as here: ``hf-hub:OWNER/NAME``, or ``local-dir:FOLDER``.
    parameters: of the encoder.
    widths: channels of each representation that the uploaded files give.
    teacher: whether the weights are the EMA teacher's, of which there are no scores.
    license: as the Hub calls it, such as apache-2.0; the card names none if None.

    Paths of this machine are left out: of data, of an encoder in a folder and of weights to start from only the last
    name is given.
    """
    head: dict[str, Any] = {"library_name": "timm", "pipeline_tag": "image-feature-extraction", "tags": TAGS}
    if license is not None:
        head["license"] = license
    received = f"{'the' if receives_labels(to_dict(config)) else 'no'} transformation parameters between the views"
    recipe = yaml.safe_dump(public_values(config), sort_keys=False, allow_unicode=True)
    sections = {
        "Load it": _how(model, config, widths),
        "Scores": _scores(run, _title(model), widths, teacher),
        "Data": f"{_data(config)}. Training received {received}, and no labels of images.",
        "Recipe": f"<details><summary>the whole configuration</summary>\n\n```yaml\n{recipe}```\n\n</details>",
        "License": " ".join([_licence(license), *_of_start(config)]),
        "Method": f"The auxiliary task, and what it is for: {PAPERS}. Made with equicoherence {__version__}.",
    }
    metadata = yaml.safe_dump(head, sort_keys=False)
    parts = [f"# {_title(model)}", _first(run, config, parameters, widths, teacher)]
    parts += [f"## {title}\n\n{text}" for title, text in sections.items()]
    return f"---\n{metadata}---\n\n" + "\n\n".join(parts) + "\n"


def _first(run: Path, config: PretrainConfig, parameters: int, widths: Mapping[str, int], teacher: bool) -> str:
    """Return what it is in a few sentences."""
    architecture, size = last_name(config.encoder.name), config.views.size
    said = [
        f"An image encoder, {architecture}, {parameters / 1e6:,.2f} million parameters, for images of {size} px.",
        *(["These are the weights of the EMA teacher."] if teacher else []),
        *_trained(config),
        *_stopped(run),
    ]
    heads = [part for part in ("z_inv", "z_equi") if part in widths] or [part for part in ("z",) if part in widths]
    if heads:
        said.append(f"`{HEADS}` beside the encoder computes {' and '.join(heads)}; timm does not read it.")
    return " ".join([*said, "It gives features and has no classifier."])


def _licence(license: str | None) -> str:
    return "None is given: ask the owner before you use the weights." if license is None else f"{license}."


def _of_start(config: PretrainConfig) -> list[str]:
    """Return a sentence on the licence of what training started from; none if these were random weights."""
    encoder = config.encoder
    if not (encoder.weights or encoder.pretrained):
        return []
    return [f"The weights it started from, {last_name(encoder.weights or encoder.name)}, have a licence of their own."]


def _trained(config: PretrainConfig) -> list[str]:
    """Return the sentences that say what was trained, from what on, and with what."""
    encoder, method, aim = config.encoder, METHODS[type(config.method)].__name__, _aim(config)
    recipe, origin = f"(recipe {config.name})", last_name(encoder.weights or encoder.name)
    word, number = read_train(encoder.train)
    if word == HEAD:
        resized = "img_size" in encoder.args
        positions = f" (position embeddings are those for images of {config.views.size} px)" if resized else ""
        return [
            f"Its weights are those of {origin}, unchanged: nothing of the encoder was trained{positions}.",
            f"What was trained is a head that computes z_equi from its tokens, with {aim} {recipe}.",
        ]
    by = f"with {method}{f' and {aim}' if aim else ''} {recipe}"
    if not (encoder.weights or encoder.pretrained):
        return [f"It was trained from random weights {by}."]
    if word in LORA:
        trained = f"LoRA of rank {number} on its linear layers {LORA[word]} was trained {by}, and then merged."
    elif word == "last":
        last = "Its last layer, and what follows it," if number == 1 else f"Its last {number} layers, and what follows,"
        trained = f"{last} were trained further {by}; the rest is unchanged."
    else:
        trained = f"All of it was trained further {by}."
    return [f"It started from {origin}.", trained]


def _aim(config: PretrainConfig) -> str:
    """Return what is trained beside the method; empty for nothing."""
    if config.coherence is None:
        return ""
    task = "the auxiliary task, which keeps what transformations do to an image"
    regression = "a regression of the transformation parameters"
    if ORACLE not in config.coherence.decoders:
        return task
    return f"{task}, and {regression}" if config.coherence.reconstructing else regression


def _stopped(run: Path) -> list[str]:
    """Return why the training ended before its last step, and what changed after such an end; none if nothing did."""
    lines = read_json_lines(run / "metrics.jsonl", "train the run again") if (run / "metrics.jsonl").is_file() else []
    stopped = [f"Training was stopped: {line[STOPPED]}." for line in lines if STOPPED in line]
    return [*(f"Training went on {line[CHANGED]}." for line in lines if CHANGED in line), *stopped]


def _title(model: str) -> str:
    return PurePath(model.partition(":")[2]).name


def _scores(run: Path, title: str, widths: Mapping[str, int], teacher: bool) -> str:
    if teacher:
        return "None: what was scored of this run is the student."
    tables = []
    if (run / ADAPTS).is_file():
        tables.append(_before_and_after(run))
    if scores := read_scores(run / FILE):
        own = select(summarise_scores({title: [scores]}), representation=("", *widths))
        tables.append(f"{origin_line([scores])}.\n\n{score_grid(own, [title]).markdown()}")
    return "\n\n".join(tables) or "None yet: the run was not scored."


def _before_and_after(run: Path) -> str:
    """Return the table of an adaptation, with the text below it."""
    try:
        found = read_adaptation(run)
    except FileNotFoundError:
        return "The scores before and after the adaptation are not complete yet."
    lines = [f"Before and after the adaptation: {origin_line(found.scores)}.", found.grid().markdown()]
    return "\n\n".join([*lines, *found.caption()])


def _data(config: PretrainConfig) -> str:
    return "Objects that equicoherence draws itself" if config.data == "objects" else f"`{last_name(config.data)}`"


def _how(model: str, config: PretrainConfig, widths: Mapping[str, int]) -> str:
    shape = f"(B, {config.encoder.channels}, {config.views.size}, {config.views.size})"
    return f"""In timm, images {shape} normalised by `model.pretrained_cfg["mean"]` and `["std"]`:

```python
import timm

model = timm.create_model("{model}", pretrained=True).eval()
```

In equicoherence, images in [0, 1], which the encoder normalises itself:

{_here(model, widths)}

Scored on your own images, or trained further:

```
equicoherence evaluate {model} --data DIR
equicoherence adapt {model} --data DIR
```"""


def _here(model: str, widths: Mapping[str, int]) -> str:
    """Return how to load it here: as an encoder alone, or with its heads."""
    if len(widths) == 1:
        return f"""```python
from equicoherence import Encoder

encoder = Encoder.from_pretrained("{model}")
features = encoder(images)  # .patches (B, N, C), .cls (B, C) or None
```"""
    rows = [f'- `pooled["{each}"]` (B, {width}): {MEANINGS[each]}' for each, width in widths.items()]
    return f"""```python
import torch
from equicoherence import load_model

model = load_model("{model}")
with torch.inference_mode():
    pooled, tokens = model.represent(images)
```

{chr(10).join(rows)}
- `tokens`: the same for each patch, (B, N, C), as far as they have them"""
