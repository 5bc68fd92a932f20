"""Metrics and protocols, ours and those of the official code, of the same inputs. See official.py."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from official_code import definitions, on_the_cpu, registry, run_script, silence
from official_losses import depths, random
from PIL import Image
from torch import Tensor, nn

from equicoherence.data.poses.latents import quaternion
from equicoherence.downstream.depth.metrics import depth_errors, scored_pixels
from equicoherence.downstream.segmentation.pixel_classes import confusion, intersection_over_union
from equicoherence.downstream.video.jf import contour_accuracy, region_similarity, statistics
from equicoherence.downstream.video.propagation import SETTINGS, propagate
from equicoherence.downstream.video.resizing import resize_bilinear
from equicoherence.downstream.video.scoring import first_labels, numbered
from equicoherence.downstream.video.sizes import published_size
from equicoherence.downstream.video.task import VideoPropagation
from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.evaluation.poses.probes import r2_scalar_mean
from equicoherence.evaluation.poses.renders import Renders
from equicoherence.evaluation.poses.retrieval import retrieval_scores
from equicoherence.evaluation.task import no_bar
from equicoherence.methods.sie import LinearHypernetwork
from equicoherence.models import Encoder, Features
from equicoherence.neighbours import knn_classes
from equicoherence.sets.kinds import IGNORE, VideoSet

PROPAGATION = "downstreams/propagation/src"  # of CropMAE


def sie_pre(folder: Path) -> tuple[Tensor, Tensor]:
    return _sie_poses(folder / "eval_prediction_errors.py", "log", {"pre_split": "PRE"})


def sie_retrieval(folder: Path) -> tuple[Tensor, Tensor]:
    names = {"mrr": "MRR", "hit_at_1": "H@1", "hit_at_5": "H@5"}
    return _sie_poses(folder / "eval_MRR_Hk.py", "log-classical", names)


def sie_r2(folder: Path) -> tuple[Tensor, Tensor]:
    truth, noise = random(200, 4) + torch.arange(4), random(200, 4, seed=1)
    official = definitions(folder / "src/models.py", "r2_score").r2_score
    return torch.tensor(r2_scalar_mean(truth + 0.5 * noise, truth)), official(truth + 0.5 * noise, truth)


def _sie_poses(script: Path, log: str, names: dict[str, str]) -> tuple[Tensor, Tensor]:
    """Run a whole script of SIE's on embeddings and a predictor. log: its file of scores. names: ours -> its own."""
    objects, views, width = {"train": 2, "val": 6}, 50, 12
    angles = {
        split: np.pi * (torch.rand(count, views, 3, generator=torch.Generator().manual_seed(count)).double() - 0.5)
        for split, count in objects.items()
    }
    # embeddings that hold some of the pose, and a predictor by chance
    embeddings = {
        split: quaternion(of_split).float() @ random(4, width) + 0.3 * random(objects[split], views, width, seed=3)
        for split, of_split in angles.items()
    }
    matrices = random(width**2, 4, seed=2)
    resnet = ModuleType("src.resnet")
    resnet.resnet18 = lambda: (nn.Identity(), width)  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory() as temporary:
        here = Path(temporary)
        for name in ("data", "pred_eval"):
            (here / name).mkdir()
        torch.save({"model": {"module.predictor.hypernet.net.0.weight": matrices}}, here / "model.pth")
        for split, count in objects.items():
            np.save(here / f"data/{split}_images.npy", np.array([f"/{number}" for number in range(count)]))
            np.save(here / f"data/all_latents_{split}.npy", angles[split].flatten(0, 1).numpy())
            for kind in ("embeddings", "representations"):
                np.save(here / f"pred_eval/{kind}_{split}.npy", embeddings[split].flatten(0, 1).numpy())
        sizes = ["--equi-dims-reprs", str(width), "--projector-mlp", "-".join([str(width)] * 3)]
        folders = ["--exp-dir", str(here), "--dataset-root", str(here)]
        run_script(script, [*sizes, *folders], here, {"src": ModuleType("src"), "src.resnet": resnet})
        scores = [json.loads(line) for line in (here / "pred_eval" / log).read_text().splitlines()]
    (theirs,) = (each for each in scores if each["mode"] == "val-val")
    predictor = LinearHypernetwork(4, width, constant=False)
    predictor.matrices.load_state_dict({"weight": matrices.view(width, width, 4).transpose(1, 2).flatten(1)})

    def predict(first: Tensor, theta: Tensor) -> Tensor:
        repeated = first[:, None].expand(-1, theta.shape[1], -1)
        return predictor(repeated.flatten(0, 1), theta[..., :4].flatten(0, 1)).view_as(repeated)

    hues, labels = torch.zeros(objects["val"], views, 2), torch.zeros(objects["val"], dtype=torch.long)
    renders = Renders({"embedding": embeddings["val"]}, quaternion(angles["val"]), hues, labels)
    ours = retrieval_scores(renders, "embedding", predict, sources=1, source_counts=True)
    return torch.tensor([ours[name] for name in names]), torch.tensor([theirs[name] for name in names.values()])


def dino_knn(folder: Path) -> tuple[Tensor, Tensor]:
    """Shares of images that get their class, for several k."""
    classes, train, test = 10, random(500, 16), random(300, 16, seed=1)
    labels, truth = (torch.arange(len(part)) * 7 % classes for part in (train, test))
    centres = random(classes, 16, seed=2)
    train, test = (F.normalize(part + centres[of], dim=1) for part, of in ((train, labels), (test, truth)))
    official = definitions(folder / "eval_knn.py", "knn_classifier").knn_classifier
    pairs = [
        (
            float((knn_classes(train, labels, test, k=k) == truth).double().mean()),
            official(train, labels, test, truth, k, 0.07, classes)[0] / 100,
        )
        for k in (5, 20, 100)
    ]
    ours, theirs = torch.tensor(pairs).T
    return ours, theirs


class Given:
    """What stands for a vision transformer of DINO's whose patches are single pixels: frames are their own tokens."""

    def __init__(self, patch_size: int) -> None:
        self.patch_embed = SimpleNamespace(patch_size=patch_size)

    def get_intermediate_layers(self, frames: Tensor, n: int) -> list[Tensor]:
        step = self.patch_embed.patch_size
        tokens = frames[:, :, ::step, ::step].flatten(2).transpose(1, 2)
        return [F.pad(tokens, (0, 0, 1, 0))]


def _moving(frames: int, height: int, width: int, channels: int = 8) -> tuple[Tensor, Tensor]:
    """Return tokens (T, h, w, C) of something that moves, with noise, and labels (3, h, w) of the first frame."""
    column = torch.arange(width)
    labels = torch.stack([column < width // 3, (column >= width // 3) & (column < width // 2), column >= width // 2])
    labels = labels[:, None].expand(-1, height, -1).float()
    still = torch.einsum("lhw,lc->hwc", labels, random(3, channels))
    moved = torch.stack([still.roll(frame, dims=1) for frame in range(frames)])
    return moved + random(frames, height, width, channels, seed=1), labels


def dino_propagation(folder: Path) -> tuple[Tensor, Tensor]:
    """Soft labels of all frames but the first."""
    return _dino_video(folder, patch=1, size=(6, 30))[0]


def dino_masks(folder: Path) -> tuple[Tensor, Tensor]:
    """Masks larger than the input."""
    return _dino_video(folder, patch=4, size=(27, 124))[1]


def _dino_video(folder: Path, patch: int, size: tuple[int, int]) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return soft labels, ours and theirs, and masks. size: of the masks."""
    count, grid, how = 12, (6, 30), SETTINGS["dino"]
    tokens, labels = _moving(count, *grid)
    soft: list[Tensor] = []
    masks: list[Tensor] = []
    args = SimpleNamespace(
        size_mask_neighborhood=how.radius, topk=how.top_k, n_last_frames=how.frames, patch_size=patch, output_dir="."
    )
    path = folder / "eval_video_segmentation.py"
    hand_on = definitions(path, "label_propagation", args=args).label_propagation

    def hand_on_and_keep(*arguments: object) -> tuple[Any, ...]:
        found = hand_on(*arguments)
        soft.append(found[0][0].clone())
        return found

    def frame(name: str) -> tuple[Tensor, int, int]:
        large = tokens[int(name)].repeat_interleave(patch, 0).repeat_interleave(patch, 1)
        return large.permute(2, 0, 1), *size

    official = definitions(
        path,
        "eval_video_tracking_davis",
        args=args,
        label_propagation=hand_on_and_keep,
        read_frame=frame,
        imwrite_indexed=lambda name, mask, palette: masks.append(torch.from_numpy(mask)),
        os=SimpleNamespace(path=SimpleNamespace(join=lambda *parts: ""), makedirs=lambda *folders, exist_ok: None),
        tqdm=lambda frames: frames,
    ).eval_video_tracking_davis
    with on_the_cpu():
        first = np.zeros(size, np.uint8)
        official(args, Given(patch), [str(number) for number in range(count)], "", labels[None], first, None)
    ours = propagate(tokens, labels, how)[1:]
    inputs = (grid[0] * patch, grid[1] * patch)
    our_masks = [torch.from_numpy(numbered(each, np.arange(3), inputs, size, how)) for each in ours]
    return (ours, torch.stack(soft)), (torch.stack(our_masks), torch.stack(masks[1:]))


def dino_video(folder: Path) -> tuple[Tensor, Tensor]:
    """J and F of the whole protocol, from the frames' files on, by tokens that are mean colours of patches."""
    patch, how = 16, SETTINGS["dino"]
    video = Video(*_blobs(6, 240, 427))
    masks: list[np.ndarray] = []
    args = SimpleNamespace(
        size_mask_neighborhood=how.radius, topk=how.top_k, n_last_frames=how.frames, patch_size=patch, output_dir=""
    )
    path = folder / "eval_video_segmentation.py"
    reading = definitions(path, "read_frame", "read_seg", color_normalize=lambda image: image)
    with tempfile.TemporaryDirectory() as temporary, on_the_cpu(), silence():
        here = Path(temporary)
        official = definitions(
            path,
            "eval_video_tracking_davis",
            args=args,
            read_frame=reading.read_frame,
            imwrite_indexed=lambda name, mask, palette: masks.append(mask),
        ).eval_video_tracking_davis
        names = [str(here / f"{frame:05d}.png") for frame in range(video.frames(0))]
        for frame, name in enumerate(names):
            Image.fromarray(video.image(0, frame)).save(name)
        Image.fromarray(video.mask(0, 0)).save(here / "first.png")
        first, whole = reading.read_seg(str(here / "first.png"), patch)
        official(
            args.__class__(**vars(args) | {"output_dir": temporary}), Colours(patch), names, "", first, whole, None
        )
    theirs = []
    for measure in (region_similarity, contour_accuracy):
        of_frames = [
            measure(torch.from_numpy(one == number), torch.from_numpy(other == number))
            for one, other in zip(masks[1:-1], video.masks[1:-1])
            for number in (1, 2)
        ]
        theirs.append(torch.stack(of_frames).mean())
    score = VideoPropagation(pixels=480).score(_patches(patch), None, video, no_bar)
    ours = {row.metric: row.value for row in score.rows if not row.parameter}
    return torch.tensor([ours["j_mean"], ours["f_mean"]]), torch.stack(theirs)


class Colours:
    """What stands for a vision transformer of DINO's: tokens are the mean colours of patches, beside gray."""

    def __init__(self, patch_size: int) -> None:
        self.patch_embed = SimpleNamespace(patch_size=patch_size)

    def get_intermediate_layers(self, frames: Tensor, n: int) -> list[Tensor]:
        tokens = F.avg_pool2d(frames - 0.5, self.patch_embed.patch_size).flatten(2).transpose(1, 2)
        return [F.pad(tokens, (0, 0, 1, 0))]


def _blobs(frames: int, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return masks (T, H, W) uint8 of two ellipses that move, and frames (T, H, W, 3) uint8 of them, with noise."""
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    masks = np.zeros((frames, height, width), np.uint8)
    for frame in range(frames):
        masks[frame][((y - 80) / 45) ** 2 + ((x - 90 - 9 * frame) / 60) ** 2 < 1] = 1
        masks[frame][((y - 150 + 5 * frame) / 55) ** 2 + ((x - 330 + 4 * frame) / 35) ** 2 < 1] = 2
    colours = np.array([[90, 110, 90], [200, 60, 40], [60, 70, 190]])
    noise = generator.normal(0, 40, (frames, height, width, 3))
    return masks, np.clip(colours[masks] + noise, 0, 255).astype(np.uint8)


def dino_frames(folder: Path) -> tuple[Tensor, Tensor]:
    """A frame at the size of the input, in 0 to 1."""
    pixels = np.random.default_rng(0).integers(0, 256, (240, 427, 3), np.uint8)
    official = definitions(folder / "eval_video_segmentation.py", "read_frame", color_normalize=lambda image: image)
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "frame.png"
        Image.fromarray(pixels).save(path)
        pairs = []
        for short in (96, 480):  # smaller and larger
            theirs = official.read_frame(str(path), [short])[0]
            ours = torch.from_numpy(resize_bilinear(pixels, tuple(theirs.shape[1:])))
            pairs.append((ours.permute(2, 0, 1).flatten() / 255, theirs.flatten()))
    ours, theirs = (torch.cat(each) for each in zip(*pairs))
    return ours, theirs


def cropmae_propagation(folder: Path) -> tuple[Tensor, Tensor]:
    """Soft labels of all frames, the first one's among them."""
    count, grid, how = 24, (5, 28), SETTINGS["cropmae"]
    tokens, labels = _moving(count, *grid)
    soft: list[Tensor] = []

    def keep(predicted: np.ndarray, *more: object) -> tuple[None, None, None]:
        soft.append(torch.from_numpy(predicted).permute(2, 0, 1).clone())
        return None, None, None

    source = folder / PROPAGATION
    parts = ("context_index_bank", "mem_efficient_batched_affinity")
    tools = definitions(source / "utils/test_utils.py", *parts)
    tools.dump_predictions = keep
    attention = definitions(source / "utils/__init__.py", "MaskedAttention")
    official = definitions(source / "test.py", "test", test_utils=tools, utils=attention).test
    padded = torch.cat([tokens[:1].expand(how.frames, -1, -1, -1), tokens])
    args = SimpleNamespace(
        video_len=how.frames,
        radius=how.radius,
        topk=how.top_k,
        temperature=how.temperature,
        long_mem=[0],
        no_l2=False,
        norm_mask=False,
        device="cpu",
        map_scale=(1, 1),
        batch_size=5,
        model_type="vits16",
        filelist="davis",
        save_path=".",
    )
    frames = padded.permute(0, 3, 1, 2)[None]
    known = labels.permute(1, 2, 0).expand(1, len(padded), -1, -1, -1).clone()

    def encode(images: Tensor) -> Tensor:
        return F.pad(images.flatten(2).transpose(1, 2), (0, 0, 1, 0))

    with silence(), torch.no_grad():
        official([(frames, frames, known, None, torch.zeros(1, 3), None)], encode, args)
    return propagate(tokens, labels, how), torch.stack(soft)


def cropmae_frames(folder: Path) -> tuple[Tensor, Tensor]:
    """Frames of objects and of parts at the size of the input, in 0 to 1."""
    ours, theirs = [], []
    for (frames, _), (pixels, _, size) in _cropmae_files(folder):
        theirs.append(frames.flatten())
        ours.append(torch.from_numpy(resize_bilinear(pixels, size)).permute(2, 0, 1).flatten() / 255)
    return torch.cat(ours), torch.cat(theirs)


def cropmae_labels(folder: Path) -> tuple[Tensor, Tensor]:
    """What tokens are given of the first mask, of objects and of parts."""
    ours, theirs = [], []
    for (_, labels), (_, mask, size) in _cropmae_files(folder):
        theirs.append(labels.flatten())
        ours.append(first_labels(mask, np.arange(3), size, (size[0] // 16, size[1] // 16), SETTINGS["cropmae"]))
    return torch.cat([each.flatten() for each in ours]), torch.cat(theirs)


def _cropmae_files(folder: Path) -> Iterator[tuple[tuple[Tensor, Tensor], tuple[np.ndarray, np.ndarray, tuple]]]:
    """Yield a first frame and its labels as CropMAE's script reads them, and the frame, its mask and the size of the
    input here."""
    official = definitions(folder / PROPAGATION / "data/vos.py", "VOSDataset", color_normalize=lambda image, *_: image)
    masks, images = _blobs(1, 270, 470)
    for options, parts in (((480, 880), False), ((880,), True)):
        size = published_size(masks.shape[1:], "cropmae", parts=parts)
        with tempfile.TemporaryDirectory() as temporary, silence():
            here = Path(temporary)
            for name, pixels in (("frames", images[0]), ("masks", masks[0])):
                (here / name).mkdir()
                Image.fromarray(pixels).save(here / name / "0.png")
            (here / "list.txt").write_text(f"{here / 'frames'} {here / 'masks'}\n")
            args = SimpleNamespace(filelist=here / "list.txt", img_size=options, video_len=1, map_scale=(16, 16))
            read = official.VOSDataset(args)[0]
        yield (read[1][0], torch.from_numpy(read[2][0]).permute(2, 0, 1)), (images[0], masks[0], size)


def cropmae_parts(folder: Path) -> tuple[Tensor, Tensor]:
    """mIoU of the 19 parts of VIP and the background, one of which is nowhere."""
    names = ("fast_hist", "show_result")
    official = definitions(folder / PROPAGATION / "eval/eval_vip.py", *names)
    truth, predicted = (torch.randint(19, (60, 80), generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    predicted = torch.where(random(60, 80) > 0, truth, predicted)
    truth[random(60, 80, seed=1) > 1.5] = IGNORE
    with silence(), np.errstate(invalid="ignore"):
        theirs = official.show_result(official.fast_hist(truth.numpy(), predicted.numpy(), 20))
    return intersection_over_union(confusion(predicted, truth, 20)).nanmean(), torch.tensor(theirs)


def _rounds() -> tuple[Tensor, Tensor]:
    """Return masks (T, H, W) bool of a disk that moves, and predicted ones, one of which is empty."""
    y, x = torch.meshgrid(torch.arange(60), torch.arange(90), indexing="ij")
    truth = torch.stack([(y - 30) ** 2 + (x - 20 - 8 * i) ** 2 < 200 for i in range(5)])
    predicted = torch.stack([(y - 28) ** 2 + (x - 24 - 7 * i) ** 2 < 260 for i in range(5)])
    predicted[3] = False
    return truth, predicted


def _davis_metrics(folder: Path, *names: str) -> SimpleNamespace:
    if not hasattr(np, "bool"):  # as from 1.24 to 1.26
        raise ModuleNotFoundError(name="numpy>=2")
    return definitions(folder / "davis2017/metrics.py", *names)


def davis_j(folder: Path) -> tuple[Tensor, Tensor]:
    truth, predicted = _rounds()
    official = _davis_metrics(folder, "db_eval_iou").db_eval_iou
    with np.errstate(invalid="ignore"):  # of a frame without anything
        theirs = official(truth.numpy(), predicted.numpy())
    return region_similarity(predicted, truth), torch.from_numpy(theirs)


def davis_f(folder: Path) -> tuple[Tensor, Tensor]:
    truth, predicted = _rounds()
    official = _davis_metrics(folder, "db_eval_boundary").db_eval_boundary
    return contour_accuracy(predicted, truth), torch.from_numpy(official(truth.numpy(), predicted.numpy()))


def davis_statistics(folder: Path) -> tuple[Tensor, Tensor]:
    """Mean, recall and decay, of numbers of frames that can and cannot be cut into quarters."""
    official = definitions(folder / "davis2017/utils.py", "db_statistics").db_statistics
    series = [torch.rand(n, generator=torch.Generator().manual_seed(n)).double().numpy() for n in (1, 2, 5, 23, 100)]
    ours, theirs = (torch.tensor([list(of(values)) for values in series]) for of in (statistics, official))
    return ours.flatten(), theirs.flatten()


class Video(VideoSet):
    """One sequence, of masks (T, H, W) uint8 and frames (T, H, W, 3) uint8."""

    def __init__(self, masks: np.ndarray, images: np.ndarray) -> None:
        self.masks, self.images = masks, images

    def __len__(self) -> int:
        return 1

    def name(self, sequence: int) -> str:
        return "moving"

    def frames(self, sequence: int) -> int:
        return len(self.masks)

    def image(self, sequence: int, frame: int) -> np.ndarray:
        return self.images[frame]

    def mask(self, sequence: int, frame: int) -> np.ndarray:
        return self.masks[frame]


class Patches(Encoder):
    """An encoder whose tokens are the mean colours of patches, beside gray."""

    def forward(
        self, images: Tensor, masks: Tensor | None = None, *, class_only: bool = False, layers_only: bool = False
    ) -> Features:
        step = int(self.model.feature_info[0]["reduction"])  # type: ignore[index]
        patches = F.avg_pool2d(images - 0.5, step)
        return Features(None, patches.flatten(2).transpose(1, 2), (patches.shape[2], patches.shape[3]))


def _patches(step: int) -> FrozenModel:
    """Return a model whose patches have ``step`` pixels."""
    encoder = Patches("resnet10t").eval()
    encoder.model.feature_info = [{"reduction": step}]  # type: ignore[assignment]
    return FrozenModel("patches", "patches", encoder, 32, 32)


def davis_video(folder: Path) -> tuple[Tensor, Tensor]:
    """The toolkit's scores of the first mask, kept for ever, in a video with a gap in its numbers and label 255."""
    masks = np.zeros((9, 40, 60), np.uint8)
    for frame in range(len(masks)):
        masks[frame, 5:15, 4 + 2 * frame : 18 + 2 * frame] = 1
        masks[frame, 22:36, 30 - frame : 50 - frame] = 3  # there is no number 2, until it comes
    masks[0, 18:20, :30] = masks[4, 8:12] = IGNORE
    masks[6, 0, 0] = 2
    source = folder / "davis2017"
    metrics = _davis_metrics(folder, "db_eval_iou", "db_eval_boundary")
    reader = definitions(source / "davis.py", "DAVIS").DAVIS

    def results(root_dir: str) -> SimpleNamespace:
        first = np.where(masks[0] == IGNORE, 0, masks[0])
        numbers = np.arange(1, first.max() + 1)[:, None, None, None]
        return SimpleNamespace(read_masks=lambda name, ids: (first == numbers).repeat(len(ids), axis=1))

    evaluation = definitions(
        source / "evaluation.py",
        "DAVISEvaluation",
        DAVIS=reader,
        Results=results,
        tqdm=lambda sequences: sequences,
        utils=definitions(source / "utils.py", "db_statistics"),
        **vars(metrics),
    ).DAVISEvaluation
    with tempfile.TemporaryDirectory() as temporary:
        here = Path(temporary)
        frames = {f"{part}/480p/moving": ending for part, ending in (("JPEGImages", "jpg"), ("Annotations", "png"))}
        for part, ending in frames.items():
            (here / part).mkdir(parents=True)
            for number, mask in enumerate(masks):
                Image.fromarray(mask).save(here / part / f"{number:05d}.{ending}")
        (here / "ImageSets/2017").mkdir(parents=True)
        (here / "ImageSets/2017/val.txt").write_text("moving\n")
        with np.errstate(invalid="ignore"):
            found = evaluation(str(here), "semi-supervised", "val").evaluate("")
    theirs = [np.mean(found[letter][name]) for letter in "JF" for name in "MRD"]
    video = Video(masks, np.repeat(masks[..., None], 3, axis=-1))
    score = VideoPropagation(pixels=32).score(_patches(2), None, video, no_bar)
    floors = {row.metric: row.floor for row in score.rows if not row.parameter}
    ours = [floors[f"{letter}_{name}"] for letter in "jf" for name in ("mean", "recall", "decay")]
    return torch.tensor(ours), torch.tensor(theirs)


def zoedepth(folder: Path) -> tuple[Tensor, Tensor]:
    """Errors of depth in Eigen's crop for NYUv2 and in Garg's."""
    official = definitions(folder / "zoedepth/utils/misc.py", "compute_metrics").compute_metrics
    predicted, truth = depths(480, 640)
    names = ("rmse", "abs_rel", "sq_rel", "log_10", "rmse_log", "silog", "a1", "a2", "a3")
    ours, theirs = [], []
    for crop in ("eigen", "garg"):
        ours.append(depth_errors(predicted, truth, scored_pixels(truth, (0.1, 10.0), crop)))
        # it writes into the predicted depths
        found = official(truth, predicted.clone(), garg_crop=crop == "garg", eigen_crop=crop == "eigen")
        theirs.append(torch.tensor([float(found[name]) for name in names]))
    return torch.cat(ours), torch.cat(theirs)


def mmseg(folder: Path) -> tuple[Tensor, Tensor]:
    """Accuracy, mIoU and the IoU of each class, one of which is nowhere, over several images."""
    classes = 8
    generator = torch.Generator().manual_seed(0)
    truth, predicted = (torch.randint(classes - 1, (4, 50, 60), generator=generator) for _ in range(2))
    predicted = torch.where(random(4, 50, 60) > 0, truth, predicted)
    truth[random(4, 50, 60, seed=1) > 1.5] = IGNORE
    not_needed = ("MMLogger", "print_log", "is_main_process", "mkdir_or_exist", "PrettyTable")
    official = definitions(
        folder / "mmseg/evaluation/metrics/iou_metric.py",
        "IoUMetric",
        METRICS=registry(),
        BaseMetric=object,
        **dict.fromkeys(not_needed),
    ).IoUMetric
    areas = [official.intersect_and_union(*pair, classes, IGNORE) for pair in zip(predicted, truth)]
    found = official.total_area_to_metrics(*(sum(part) for part in zip(*areas)))
    counts = confusion(predicted, truth, classes)
    iou = intersection_over_union(counts)
    seen = ~iou.isnan()
    ours = torch.stack([counts.diagonal().sum() / counts.sum(), iou.nanmean(), *iou[seen]])
    theirs = [float(found["aAcc"]), float(np.nanmean(found["IoU"])), *found["IoU"][seen.numpy()]]
    return ours, torch.tensor(theirs)
