"""The card of a run on the Hugging Face Hub: what it is, its scores, its data and recipe, and how to load it."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import Any

import yaml

from equicoherence import __version__
from equicoherence.evaluation.store import FILE, read_scores
from equicoherence.methods import METHODS
from equicoherence.models.prefixes import HUB, LOCAL
from equicoherence.reporting.main_figures import score_grid
from equicoherence.reporting.origin import origin_line
from equicoherence.reporting.summary import select, summarise_scores
from equicoherence.training.config import PretrainConfig
from equicoherence.training.config_file import to_dict

TAGS = ["timm", "equicoherence", "self-supervised-learning", "equivariance", "image-feature-extraction"]
OWN = ("", "backbone")  # representations that a timm model has
PAPERS = "[2412.03314](https://arxiv.org/abs/2412.03314), [2503.18753](https://arxiv.org/abs/2503.18753)"


def model_card(
    run: Path, config: PretrainConfig, name: str, *, parameters: int, teacher: bool = False, license: str | None = None
) -> str:
    """Return the card as Markdown, under the metadata that the Hub reads.

    run: whose ``scores.json``, where there is one, is its table.
    name: OWNER/NAME on the Hub.
    parameters: of the encoder.
    teacher: whether the weights are the EMA teacher's, of which there are no scores.
    license: as the Hub calls it, such as apache-2.0; the card names none if None.

    Paths of this machine are left out: of data, of an encoder in a folder and of weights to start from only the last
    name is given.
    """
    head: dict[str, Any] = {"library_name": "timm", "pipeline_tag": "image-feature-extraction", "tags": TAGS}
    if license is not None:
        head["license"] = license
    sections = {
        "Load it": _how(name, config),
        "Scores": _scores(run, name, teacher),
        "Data": f"{_data(config)}. No labels were used in training.",
        "Recipe": f"<details><summary>the whole configuration</summary>\n\n```yaml\n{_recipe(config)}```\n\n</details>",
        "License": license or "None is given: ask the owner before you use the weights.",
        "Method": f"The auxiliary task, and what it is for: {PAPERS}. Made with equicoherence {__version__}.",
    }
    metadata = yaml.safe_dump(head, sort_keys=False)
    parts = [f"# {PurePath(name).name}", _first(config, parameters, teacher)]
    parts += [f"## {title}\n\n{text}" for title, text in sections.items()]
    return f"---\n{metadata}---\n\n" + "\n\n".join(parts) + "\n"


def _first(config: PretrainConfig, parameters: int, teacher: bool) -> str:
    """Return what it is in a sentence or two."""
    method = METHODS[type(config.method)].__name__
    task = "" if config.coherence is None else ", with an auxiliary task that keeps what transformations do to an image"
    begun = f"It started from {_last_name(config.encoder.weights)}. " if config.encoder.weights else ""
    owner = "These are the weights of the EMA teacher. " if teacher else ""
    name = _last_name(config.encoder.name)
    return (
        f"An image encoder, {name}, {parameters / 1e6:,.2f} million parameters, for images of "
        f"{config.views.size} px, trained with {method}{task} (recipe {config.name}). {begun}{owner}It gives features "
        "and has no classifier."
    )


def _scores(run: Path, name: str, teacher: bool) -> str:
    if teacher:
        return "None: what was scored of this run is the student."
    scores = read_scores(run / FILE)
    if not scores:
        return "None yet: the run was not scored."
    column = PurePath(name).name
    own = select(summarise_scores({column: [scores]}), representation=OWN)
    return (
        f"Of the features that this model gives; z_inv and z_equi need the run itself. {origin_line([scores])}.\n\n"
        f"{score_grid(own, [column]).markdown()}"
    )


def _data(config: PretrainConfig) -> str:
    return "Objects that equicoherence draws itself" if config.data == "objects" else f"`{_last_name(config.data)}`"


def _recipe(config: PretrainConfig) -> str:
    values = to_dict(config)
    values["data"] = _last_name(config.data)
    values["encoder"] |= {key: _last_name(values["encoder"][key]) for key in ("name", "weights")}
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def _last_name(place: str) -> str:
    """Return a name of timm's or of the Hub's as it is, and of a path its last part."""
    bare = place.removeprefix("timm:")
    if bare.startswith(HUB):
        return place
    path = bare.removeprefix(LOCAL)
    last = PurePath(path).name or path
    return place if last == bare else last


def _how(name: str, config: PretrainConfig) -> str:
    shape = f"(B, {config.encoder.channels}, {config.views.size}, {config.views.size})"
    return f"""In timm, images {shape} normalised by `model.pretrained_cfg["mean"]` and `["std"]`:

```python
import timm

model = timm.create_model("hf-hub:{name}", pretrained=True).eval()
```

In equicoherence, images in [0, 1], which the encoder normalises itself:

```python
from equicoherence import Encoder

encoder = Encoder.from_pretrained("hf-hub:{name}")
features = encoder(images)  # .patches (B, N, C), .cls (B, C) or None
```

Scored on your own images, or trained further:

```
equicoherence evaluate hf-hub:{name} --data DIR
equicoherence adapt hf-hub:{name} --data DIR
```"""
