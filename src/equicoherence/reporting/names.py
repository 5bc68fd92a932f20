"""Readable names for the ids of metrics, data sets and tasks in files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath

from equicoherence.evaluation.transformation import ABSOLUTE, NOISE, SIDE
from equicoherence.models.prefixes import LOCAL

ARCHIVES = (".tar", ".gz", ".tgz", ".bz2", ".xz", ".zip")
WEIGHTS = (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".npz", ".tar")
MORE = re.compile(r"(, layer -?\d+)?( \(random weights\))?$")  # what `scores.json` adds to what the user called a model

METRIC_NAMES = {
    "miou": "mIoU",
    "iou": "IoU",
    "corloc": "CorLoc",
    "rmse": "RMSE",
    "abs_rel": "AbsRel",
    "sq_rel": "SqRel",
    "rmse_log": "RMSE log",
    "silog": "SILog",
    "apb": "AP box",
    "apb50": "AP box 50",
    "apb75": "AP box 75",
    "apm": "AP mask",
    "apm50": "AP mask 50",
    "apm75": "AP mask 75",
    "pckh@0.5": "PCKh@0.5",
    "pckh@0.1": "PCKh@0.1",
    "matched": "true matches found",
    "precision": "matches that are right",
    "mirrored": "wrong matches at the mirror place",
    "pck@0.1_image": "PCK@.10 per image",
    "pck@0.1_point": "PCK@.10 per point",
    "corner_error": "corner error (px)",
    "j_and_f": "J&F",
    "j_mean": "J mean",
    "j_recall": "J recall",
    "j_decay": "J decay",
    "f_mean": "F mean",
    "f_recall": "F recall",
    "f_decay": "F decay",
    "same_folder": "same folder",
    "top1": "top-1",
    "r2": "R2",
    NOISE: "R2 on noise",
    "r2_scalar_mean": "R2, one scalar mean",
    "mrr": "MRR",
    "hit_at_1": "H@1",
    "hit_at_5": "H@5",
    "pre": "PRE, own views",
    "pre_split": "PRE, whole split",
    "retrieved": "retrieved among all",
    "cosine": "cosine to itself",
    "others": "cosine to others",
    "confused": "90° and 270° confused",
    "share": "share",
}
DATA_NAMES = {
    "ade20k": "ADE20K",
    "camvid": "CamVid",
    "coco": "COCO",
    "coco_images": "COCO images",
    "coco128": "COCO128",
    "davis_2016": "DAVIS-2016",
    "davis_2017": "DAVIS-2017",
    "kitti_depth": "KITTI depth",
    "mpii": "MPII",
    "nyuv2": "NYUv2",
    "nyuv2_labelled": "NYUv2 labelled",
    "rendered_depth": "rendered depth",
    "rendered_detection": "rendered detection",
    "rendered_keypoints": "rendered keypoints",
    "rendered_poses": "rendered poses",
    "rendered_segmentation": "rendered segmentation",
    "rendered_video": "rendered video",
    "7scenes": "7-Scenes",
    "spair": "SPair-71k",
    "tiny_imagenet_boxes": "Tiny-ImageNet boxes",
    "turned": "rotated photographs",
    "vip": "VIP",
    "voc2012": "VOC 2012",
}
TASK_NAMES = {"knn": "k-NN"}


def metric_name(metric: str) -> str:
    """Return a metric as tables call it, one that is unknown by its id."""
    return METRIC_NAMES.get(metric, metric)


def target_name(target: str) -> str:
    """Return a target as tables call it, before the name of its metric.

    "rotation, side" becomes "rotation sign" (accuracy), and "rotation, absolute" becomes "absolute rotation" (R2).
    """
    what, _, part = target.rpartition(", ")
    if what and part == SIDE:
        return f"{what} sign"
    return f"absolute {what}" if what and part == ABSOLUTE else target


def source_name(representation: str, probe: str) -> str:
    """Return what is read and how, as in "z_equi (mlp)"; tasks that name no representation read patch tokens."""
    source = representation or "patch tokens"
    return f"{source} ({probe.replace('_', ' ')})" if probe else source


def data_name(data: str) -> str:
    """Return a data set as tables call it: one that is unknown by its folder or archive, without the endings."""
    name = PurePath(data).name or data
    ending = "".join(suffix for suffix in PurePath(name).suffixes[-2:] if suffix in ARCHIVES)
    return DATA_NAMES.get(data, name.removesuffix(ending))


def task_name(task: str) -> str:
    """Return a task as tables call it."""
    return TASK_NAMES.get(task, task)


def heading(task: str) -> str:
    """Return a task as the title of a section."""
    return TASK_NAMES.get(task, task[:1].upper() + task[1:])


def encoder_names(encoders: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return what tables call encoders, by what ``scores.json`` calls them and their architecture.

    A weights file, also as FILE@ARCH, is called by its stem, with as many of the folders above it as tell it from the
    others, and with its architecture where that has another name; a folder alike; all else by its whole name.
    """
    names = list(dict.fromkeys(encoders))
    short = {name: path.with_suffix("") for name, path in _short_files(names).items()} | _short_folders(names)
    found = {name: name[0] for name in names}
    for (name, arch), path in short.items():
        of_arch = "" if path.name == arch else f" ({arch})"
        found[name, arch] = path.as_posix() + of_arch + _more(name)
    return found


def shared_names(encoders: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return what encoders are called on another machine, by what ``scores.json`` calls them and their architecture.

    A weights file is FILE@ARCH, with as many of the folders above it as tell it from the others; a folder is called by
    its own name; all else by its whole name.
    """
    names = list(dict.fromkeys(encoders))
    found = {}
    for name, arch in names:
        source, prefix, place = name.rpartition(LOCAL)
        is_path = bool(prefix) or PurePath(MORE.sub("", place)).is_absolute()
        found[name, arch] = source + prefix + PurePath(place).name if is_path else name
    for (name, arch), path in _short_files(names).items():
        found[name, arch] = f"{path.as_posix()}@{arch}{_more(name)}"
    return found


def _short_files(names: Sequence[tuple[str, str]]) -> dict[tuple[str, str], PurePath]:
    """Return for names of weights files their path, with as many last folders as tell it from the others."""
    paths = {(name, arch): PurePath(MORE.sub("", name).removesuffix(f"@{arch}")) for name, arch in names}
    files = {name: path for name, path in paths.items() if path.suffix in WEIGHTS}
    short = last_parts([path.with_suffix("").parts for path in files.values()])
    return {name: PurePath(*path.parts[-len(parts) :]) for (name, path), parts in zip(files.items(), short)}


def _short_folders(names: Sequence[tuple[str, str]]) -> dict[tuple[str, str], PurePath]:
    """Return for names of models in a folder its path, with as many last parts as tell it from the others."""
    folders = {name: PurePath(MORE.sub("", name[0]).partition(LOCAL)[2]) for name in names if LOCAL in name[0]}
    short = last_parts([path.parts for path in folders.values()])
    return {name: PurePath(*parts) for name, parts in zip(folders, short)}


def folder_names(folders: Sequence[Path]) -> list[str]:
    """Return what folders are called side by side: the part of the path that tells them apart, or more where none does.

    x/a/scores and x/b/scores are a and b.
    """
    return told_apart([Path(os.path.abspath(folder)) for folder in folders])


def told_apart(folders: Sequence[PurePath]) -> list[str]:
    """Return `folder_names` of absolute paths. Drives of Windows are left out unless they alone tell paths apart."""
    paths = [folder.parts[1:] for folder in folders]
    if len(set(paths)) < len(set(folders)):
        paths = [(folder.drive, *folder.parts[1:]) for folder in folders]
    while all(len(path) > 1 for path in paths) and len({path[-1] for path in paths}) == 1 < len(set(paths)):
        paths = [path[:-1] for path in paths]
    return ["/".join(parts) for parts in last_parts(paths)]


def last_parts(paths: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return the last parts of each path, as many as tell it from the others."""
    found = []
    for path in paths:
        others, count = set(paths) - {path}, 1
        while count < len(path) and any(other[-count:] == path[-count:] for other in others):
            count += 1
        found.append(path[-count:])
    return found


def _more(name: str) -> str:
    return name[MORE.search(name).start() :]  # type: ignore[union-attr]
