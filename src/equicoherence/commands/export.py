"""`equicoherence export RUN`: export a run's encoder for timm, ONNX or torch."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from equicoherence.commands.arguments import PathOrNone, TextOrNone, parse
from equicoherence.json_file import read_json
from equicoherence.loading import preparing
from equicoherence.models.model_folder import check_run_folder
from equicoherence.models.shared_files import has_heads

FEATURES = {"mean": "the mean of its patch tokens", "cls": "its class token", "head": "what it returns"}


def run(arguments: list[str]) -> None:
    """Run the command with its arguments."""

    @dataclass
    class Arguments:
        """Export the encoder of a run: a folder for timm, an ONNX model, a torch file for timm's model, or a torch
        program that does not need timm. For an adapted encoder, ONNX and the program also give z_equi; the folder for
        timm has it in files of its own, and is a MODEL, local-dir:FOLDER. --push OWNER/NAME uploads that folder to the
        Hugging Face Hub, with a card of scores, data and recipe.

        Args:
            run: Run directory.
            to: Format of the export.
            push: Repository on the Hub, OWNER/NAME.
            out: Where to write; by default RUN/encoder, with .onnx, .pt or .pt2.
            teacher: Export the EMA teacher of the method instead of the student. Evaluation uses the student.
            license: Licence of the uploaded weights, by its name on the Hub, such as apache-2.0; none by default.
            private: Make the repository on the Hub private.
            overwrite: Replace existing files.
        """

        run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
        to: Annotated[
            Literal["timm", "onnx", "torch", "program"] | None,
            tyro.conf.arg(metavar="{timm,onnx,torch,program}", help_behavior_hint=""),
        ] = None
        push: TextOrNone = None
        out: PathOrNone = None
        teacher: bool = False
        license: TextOrNone = None
        private: bool = False
        overwrite: bool = False

    with preparing():
        given = parse(Arguments, arguments, "export")
        check_run_folder(given.run)
        check_target(given.to, given.push, out=given.out, license=given.license, private=given.private)
        from equicoherence.exporting import export
        from equicoherence.pushing import push

    if given.to is None:
        own = {"teacher": given.teacher, "license": given.license, "private": given.private}
        model = push(given.run, str(given.push), overwrite=given.overwrite, **own)
        print(f"{model} done; use it: equicoherence evaluate {model} --data DIR")
        return
    out = export(given.run, given.to, given.out, teacher=given.teacher, overwrite=given.overwrite)
    ways = {"timm": how_to_use_timm, "onnx": how_to_use_onnx, "torch": how_to_use_torch, "program": how_to_use_program}
    how = ways[given.to](out)
    print(f"{out} done; load it:\n{how}")


def check_target(to: str | None, push: str | None, **given: object) -> None:
    """Raise ValueError unless an export goes to one place, and where an option is given that is of the other."""
    if (to is None) == (push is None):
        raise ValueError("export needs either --to timm, onnx, torch or program, or --push OWNER/NAME")
    of_others = ("license", "private") if push is None else ("out",)
    for name in of_others:
        if given[name]:
            raise ValueError(f"--{name} does not apply with --{'to' if push is None else 'push'}; leave it out")


def how_to_use_timm(folder: Path) -> str:
    """Return the line that loads an exported folder, and the format of its images."""
    about = read_json(folder / "config.json", "export the run again with --overwrite")["pretrained_cfg"]
    line = f'model = timm.create_model("local-dir:{folder}", pretrained=True).eval()'
    lines = f"{line}\n{_normalised(about['input_size'][-1], about['mean'], about['std'])}"
    here = '\nwith its heads: equicoherence evaluate {0} --data DIR, or load_model("{1}")'
    return lines + here.format(shlex.quote(str(folder)), folder) if has_heads(folder) else lines


def how_to_use_torch(path: Path) -> str:
    """Return the lines that build an exported model, and the format of its images."""
    import torch

    about = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    lines = (
        f'held = torch.load("{path}", weights_only=True)\n'
        'model = timm.create_model(held["architecture"], num_classes=0, **held["args"]).eval()\n'
        'model.load_state_dict(held["state_dict"])'
    )
    features = FEATURES[about["pool"]]
    images = _normalised(about["size"], about["mean"], about["std"])
    return f"{lines}\n{images}; the representation in evaluation: {features}"


def how_to_use_program(path: Path) -> str:
    """Return the lines that run an exported program."""
    return (
        f'program = torch.export.load("{path}").module()\n'
        "outputs = program(images)  # images (B, C, S, S) in [0, 1]: pooled, patches; adapted, also z_equi, joined"
    )


def how_to_use_onnx(path: Path) -> str:
    """Return the lines that run an exported ONNX model, and the format of its images."""
    import onnxruntime  # an extra

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (images,), outputs = session.get_inputs(), session.get_outputs()
    names = ", ".join(each.name for each in outputs)
    channels, side = images.shape[1], images.shape[-1]
    return (
        f'session = onnxruntime.InferenceSession("{path}")\n'
        f'{names} = session.run(None, {{"{images.name}": {images.name}}})\n'
        f"{images.name}: float32 (B, {channels}, {side}, {side}) in [0, 1], not normalised (the model does that), of "
        "any B, of this size alone"
    )


def _normalised(side: int, mean: Sequence[float], std: Sequence[float]) -> str:
    mean, std = ([round(value, 6) for value in values] for values in (mean, std))  # as they were before float32
    said = f"normalised: (images - mean) / std, mean {mean}, std {std}"
    return f"images: float32 (B, {len(mean)}, {side}, {side}) in [0, 1], {said}"
