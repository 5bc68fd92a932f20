"""Are our losses, metrics and protocols those of the official code? Both are computed on the same inputs.

    python experiments/official.py [--sie DIR] [--vicreg DIR] [--dino DIR] [--ibot DIR] [--dinov2 DIR] [--davis DIR]
                                   [--cropmae DIR] [--zoedepth DIR] [--mmseg DIR]

Each DIR is a checkout of the repository named in `ORIGINALS`; what is not given is skipped, and said, and so is a file
that a DIR lacks. A DIR with none of the files is refused before anything is compared. Nothing of theirs is part of this
repository. What is compared is taken out of its file, so that a checkout alone is enough: only what the
definition itself names is imported (DAVIS' F and DINO's frames need OpenCV). SIE's PRE, MRR and H@k are whole scripts,
which run as they are, on the CPU. Exit status 1 where a comparison is further apart than ``BOUND``, or than declared.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import official_losses as losses
import official_scores as scores
from torch import Tensor, maximum

ORIGINALS = {
    "sie": "facebookresearch/SIE",
    "vicreg": "facebookresearch/vicreg",
    "dino": "facebookresearch/dino",
    "ibot": "bytedance/ibot",
    "dinov2": "facebookresearch/dinov2",
    "davis": "davisvideochallenge/davis2017-evaluation",
    "cropmae": "alexandre-eymael/CropMAE",
    "zoedepth": "isl-org/ZoeDepth",
    "mmseg": "open-mmlab/mmsegmentation",
}
PACKAGES = {"cv2": "opencv-python-headless", "skimage": "scikit-image"}
"""What modules are installed as."""
BOUND = 1e-5
"""Largest difference of two numbers, in parts of the larger one, or of 1 where both are smaller."""


@dataclass(frozen=True)
class Comparison:
    """what: compared, in words. original: key of `ORIGINALS`. file: of the original, where its code is.
    compute: takes the folder and returns our numbers and theirs. declared: the largest difference that docs/official.md
    declares, 0 where both are to be equal."""

    what: str
    original: str
    file: str
    compute: Callable[[Path], tuple[Tensor, Tensor]]
    declared: float = 0.0


def main(arguments: list[str] | None = None) -> int:
    """Compare, print a line each, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, repository in ORIGINALS.items():
        parser.add_argument(f"--{name}", type=Path, metavar="DIR", help=f"a checkout of {repository}")
    given = vars(parser.parse_args(arguments))
    for name, repository in ORIGINALS.items():
        files = dict.fromkeys(each.file for each in COMPARISONS if each.original == name)
        if given[name] is not None and not any((given[name] / file).is_file() for file in files):
            parser.error(f"--{name} {given[name]} has no {', '.join(files)}; give a checkout of {repository}")
    failed = False
    for comparison in COMPARISONS:
        folder, repository = given[comparison.original], ORIGINALS[comparison.original]
        if folder is None:
            why = f"give --{comparison.original} DIR, a checkout of {repository}"
            print(f"{comparison.what}: skipped; {why}")
            continue
        if not (folder / comparison.file).is_file():
            print(f"{comparison.what}: skipped; {folder} has no {comparison.file}, {repository} has it")
            continue
        try:
            ours, theirs = comparison.compute(folder.resolve())
        except ModuleNotFoundError as error:
            package = PACKAGES.get(str(error.name), error.name)
            print(f"{comparison.what}: skipped; {comparison.file} needs the module {error.name}, install {package}")
            continue
        except FileNotFoundError as error:  # of another file that the code is in
            print(f"{comparison.what}: skipped; {error.filename} is missing, {repository} has it")
            continue
        except LookupError as error:
            parser.error(f"{error.args[0]}; give a checkout of {repository}")
        difference = relative_difference(ours, theirs)
        verdict = "equal" if difference <= BOUND else "apart as declared"
        if difference > max(BOUND, comparison.declared):
            verdict, failed = "NOT EQUAL", True
        print(f"{comparison.what}: {verdict}, {difference:.1e} apart ({ours.numel()} numbers)")
    return int(failed)


def relative_difference(ours: Tensor, theirs: Tensor) -> float:
    """Return the largest difference in parts of the larger number, or of 1 where both are smaller."""
    a, b = ours.detach().double().flatten(), theirs.detach().double().flatten()
    return float(((a - b).abs() / maximum(a.abs(), b.abs()).clamp_min(1)).max())


VIDEO, DEPTH = "eval_video_segmentation.py", "dinov2/eval/depth/models/losses"
COMPARISONS = (
    Comparison("SIE's loss", "sie", "src/models.py", losses.sie),
    Comparison("SIE's expanders", "sie", "src/models.py", losses.sie_expanders),
    Comparison("SIE's PRE, whole split", "sie", "eval_prediction_errors.py", scores.sie_pre),
    Comparison("SIE's MRR, H@1, H@5", "sie", "eval_MRR_Hk.py", scores.sie_retrieval),
    Comparison("SIE's R2", "sie", "src/models.py", scores.sie_r2),
    Comparison("VICReg's loss", "vicreg", "main_vicreg.py", losses.vicreg),
    Comparison("DINO's loss with its moving centre", "dino", "main_dino.py", losses.dino),
    Comparison("DINO's k-NN", "dino", "eval_knn.py", scores.dino_knn),
    Comparison("DINO's video propagation: soft labels", "dino", VIDEO, scores.dino_propagation),
    Comparison("DINO's video propagation: masks", "dino", VIDEO, scores.dino_masks),
    Comparison("DINO's whole video protocol: J and F", "dino", VIDEO, scores.dino_video, declared=0.02),
    Comparison("DINO's frames, of 0 to 1", "dino", VIDEO, scores.dino_frames, declared=1.01 / 255),
    Comparison("iBOT's losses with their moving centres, all patches masked", "ibot", "main_ibot.py", losses.ibot),
    Comparison("iBOT's losses, some patches masked", "ibot", "main_ibot.py", losses.ibot_centre, declared=0.01),
    Comparison("DINOv2's losses, and Sinkhorn-Knopp", "dinov2", "dinov2/loss/dino_clstoken_loss.py", losses.dinov2),
    Comparison("KoLeo", "dinov2", "dinov2/loss/koleo_loss.py", losses.koleo),
    Comparison(
        "DINOv2's head, and gradients of its last layer", "dinov2", "dinov2/layers/dino_head.py", losses.dinov2_head
    ),
    Comparison("DINOv2's gradient loss of depths", "dinov2", f"{DEPTH}/gradientloss.py", losses.dinov2_gradient),
    Comparison(
        "DINOv2's gradient loss, as its head gives depths",
        "dinov2",
        f"{DEPTH}/gradientloss.py",
        losses.dinov2_gradient_of_head,
        declared=1.0,
    ),
    Comparison("DINOv2's first loss of depths", "dinov2", f"{DEPTH}/sigloss.py", losses.dinov2_silog, declared=2e-3),
    Comparison("DAVIS' J", "davis", "davis2017/metrics.py", scores.davis_j),
    Comparison("DAVIS' F", "davis", "davis2017/metrics.py", scores.davis_f),
    Comparison("DAVIS' mean, recall and decay", "davis", "davis2017/utils.py", scores.davis_statistics),
    Comparison(
        "DAVIS' scores of a video with label 255 and a gap in its numbers",
        "davis",
        "davis2017/evaluation.py",
        scores.davis_video,
    ),
    Comparison(
        "CropMAE's video propagation: soft labels, frame 0 too",
        "cropmae",
        f"{scores.PROPAGATION}/test.py",
        scores.cropmae_propagation,
    ),
    Comparison(
        "CropMAE's frames, of 0 to 1",
        "cropmae",
        f"{scores.PROPAGATION}/data/vos.py",
        scores.cropmae_frames,
        declared=0.6 / 255,
    ),
    Comparison(
        "CropMAE's labels of the first frame", "cropmae", f"{scores.PROPAGATION}/data/vos.py", scores.cropmae_labels
    ),
    Comparison("CropMAE's mIoU of parts", "cropmae", f"{scores.PROPAGATION}/eval/eval_vip.py", scores.cropmae_parts),
    Comparison("errors of depth, in Eigen's crop and Garg's", "zoedepth", "zoedepth/utils/misc.py", scores.zoedepth),
    Comparison("accuracy, mIoU and IoU", "mmseg", "mmseg/evaluation/metrics/iou_metric.py", scores.mmseg),
)

if __name__ == "__main__":
    sys.exit(main())
