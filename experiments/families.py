"""One small member of each family of timm's encoders, through all that an encoder is for.

    python experiments/families.py [--out runs/families] [--only resnet18,pit_ti_224]

Each is built as timm builds it by its name, pretrained for two steps with VICReg, DINO (two local crops) and iBOT
(masks) on pictures drawn here, evaluated, embedded and exported; every export must give the run's own features of the
same files. What works is written to docs/results/families.md, and of what is refused the sentence. Run again, it goes
on where it stopped; it exits with 1 where something failed that was not refused before it began.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import json
import platform
import shutil
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from pages import write_page
from PIL import Image

from equicoherence.coherence import CoherenceConfig
from equicoherence.embedding import embed
from equicoherence.evaluation.classification.accuracy import knn_accuracy
from equicoherence.evaluation.model import load_model
from equicoherence.exporting import export
from equicoherence.files import write_aside
from equicoherence.methods import MethodConfig
from equicoherence.methods.dino import DINOConfig
from equicoherence.methods.ibot import IBOTConfig
from equicoherence.methods.vicreg import VICRegConfig
from equicoherence.models.features import POOLS
from equicoherence.training import EncoderConfig, OptimConfig, PretrainConfig, ViewsConfig, load_run, pretrain

PAGE = Path(__file__).parents[1] / "docs" / "results" / "families.md"
FREE = 64  # px of encoders that take images of any size
ONNX_MILLIONS = 6.0  # larger encoders are not exported to ONNX here, for time
IMAGES = 4  # that features are compared on
NONE = "\N{EN DASH}"  # in a cell
TOLERANCE = 1e-4  # of features, or of the largest of them where that is above 1


@dataclass(frozen=True)
class Family:
    """size: pixels of its images; crop: of local crops."""

    name: str
    model: str
    size: int = FREE
    crop: int = 32


# those that take long are at the end
FAMILIES = (
    Family("ViT, class token", "vit_tiny_patch16_224", 224, 96),
    Family("ViT, registers, no class token", "vit_wee_patch16_reg1_gap_256", 256, 96),
    Family("DINOv3 ViT", "vit_tiny_patch16_dinov3_qkvb", 256, 96),
    Family("DeiT", "deit_tiny_patch16_224", 224, 96),
    Family("DeiT, distilled", "deit_tiny_distilled_patch16_224", 224, 96),
    Family("EVA-02", "eva02_tiny_patch14_224", 224, 98),
    Family("ViT, relative positions", "vit_relpos_small_patch16_224", 224, 96),
    Family("Swin", "swin_tiny_patch4_window7_224", 224, 96),
    Family("Swin V2", "swinv2_cr_tiny_224", 224, 96),
    Family("Hiera", "hiera_tiny_224", 224, 96),
    Family("MViT V2", "mvitv2_tiny", 224, 96),
    Family("MaxViT", "maxvit_rmlp_pico_rw_256", 256, 96),
    Family("CoAtNet", "coatnet_pico_rw_224", 224, 96),
    Family("PiT", "pit_ti_224", 224, 96),
    Family("CrossViT", "crossvit_tiny_240", 240, 96),
    Family("CoaT", "coat_tiny", 224, 96),
    Family("XCiT", "xcit_nano_12_p16_224", 224, 96),
    Family("CaiT", "cait_xxs24_224", 224, 96),
    Family("ConViT", "convit_tiny", 224, 96),
    Family("VOLO", "volo_d1_224", 224, 96),
    Family("TNT", "tnt_s_legacy_patch16_224", 224, 96),
    Family("Twins", "twins_svt_small", 224, 96),
    Family("LeViT", "levit_128s", 224, 96),
    Family("Visformer", "visformer_tiny", 224, 96),
    Family("EfficientFormer", "efficientformer_l1", 224, 96),
    Family("EfficientFormer V2", "efficientformerv2_s0", 224, 96),
    Family("Mixer", "mixer_s32_224", 224, 96),
    Family("gMLP", "gmlp_ti16_224", 224, 96),
    Family("GC ViT", "gcvit_xxtiny", 224, 96),
    Family("TinyViT", "tiny_vit_5m_224"),
    Family("PVT V2", "pvt_v2_b0"),
    Family("DaViT", "davit_tiny"),
    Family("NextViT", "nextvit_small"),
    Family("MobileViT", "mobilevit_xxs"),
    Family("FastViT", "fastvit_t8"),
    Family("EdgeNeXt", "edgenext_xx_small"),
    Family("EfficientViT (MIT)", "efficientvit_b0"),
    Family("EfficientViM", "efficientvim_m1"),
    Family("PoolFormer", "poolformer_s12"),
    Family("ConvNeXt", "convnext_atto"),
    Family("InceptionNeXt", "inception_next_atto"),
    Family("MambaOut", "mambaout_femto"),
    Family("ConvMixer", "convmixer_768_32"),
    Family("ResNet", "resnet18"),
    Family("RegNet", "regnetx_002"),
    Family("EfficientNet", "efficientnet_b0"),
    Family("MobileNet V3", "mobilenetv3_small_050"),
    Family("MobileNet V4", "mobilenetv4_conv_small"),
    Family("GhostNet", "ghostnet_100"),
    Family("HGNet V2", "hgnetv2_b0"),
    Family("RepVGG", "repvgg_a0"),
    Family("TResNet", "tresnet_m"),
    Family("NFNet", "nf_regnet_b0"),
    Family("DenseNet", "densenet121"),
    Family("ViT, patch 14, registers (DINOv2)", "vit_small_patch14_reg4_dinov2", 518, 98),
    Family("ViT with attention pooling, as SigLIP has", "vit_pe_core_tiny_patch16_384", 384, 96),
    Family("SigLIP", "vit_base_patch16_siglip_224", 224, 96),
    Family("BEiT", "beit_base_patch16_224", 224, 96),
    Family("ResNet (CLIP)", "resnet50_clip", 224, 96),
    Family("VGG", "vgg11"),
)
SMALL_HEAD: dict[str, Any] = {"hidden": 16, "bottleneck": 8, "prototypes": 16, "centring": "sinkhorn"}
METHODS: dict[str, MethodConfig] = {
    "VICReg": VICRegConfig(width=16),
    "DINO": DINOConfig(**SMALL_HEAD),
    "iBOT": IBOTConfig(**SMALL_HEAD),
}


def config_of(family: Family, method: str, data: Path) -> PretrainConfig:
    """Return two steps of a method on the family's member, as timm has it."""
    views = ViewsConfig(
        size=family.size,
        source=family.size + 16,
        crops=2 if method == "DINO" else 0,
        crop_size=family.crop,
        mask_probability=0.5 if method == "iBOT" else 0.0,
    )
    return PretrainConfig(
        name=f"{method}-{family.model}",
        method=METHODS[method],
        encoder=EncoderConfig(family.model),
        d=16,
        coherence=CoherenceConfig(d_equi=8, decoder="render"),
        views=views,
        optim=OptimConfig(epochs=1, batch_size=2, lr=1e-3),
        data=str(data),
        max_steps=2,
        checkpoint_every=2,
        threads=1,
    )


def outcome(work: Callable[[], str]) -> str:
    """Return what the work says, or the sentence with which it is refused, or what it failed by."""
    try:
        return work()
    except ValueError as refusal:
        return f"refused: {refusal}"
    except Exception as error:
        traceback.print_exc()
        return f"FAILED: {type(error).__name__}: {error}"


def features(model: str | Path, data: Path, **options: Any) -> np.ndarray:
    """Return an encoder's features of the pictures, as `embed` gives them."""
    file = data.parent / "features.npz"
    with np.load(
        embed(model, data, file, batch=4, limit=IMAGES, overwrite=True, bad_image_tolerance=0.0, **options)
    ) as table:
        return table["backbone"]


def same(found: np.ndarray, wanted: np.ndarray) -> str:
    """Return "works" for the same features, else what is wrong with them."""
    if found.shape != wanted.shape:
        return f"FAILED: {found.shape[1]} features, not {wanted.shape[1]}"
    error = float(np.abs(found - wanted).max() / max(1.0, np.abs(wanted).max()))
    return "works" if error <= TOLERANCE else f"FAILED: features differ by {error:.2g}"


def as_in(run: Path, folder: Path) -> str:
    """Return "works" where an exported folder holds what makes the run itself a model of timm."""
    names = ("model.safetensors", "config.json")
    differ = [name for name in names if (run / name).read_bytes() != (folder / name).read_bytes()]
    return f"FAILED: {', '.join(differ)} differ from the run's" if differ else "works"


def trained(family: Family, method: str, data: Path, folder: Path) -> dict[str, str]:
    """Pretrain, read the run back, and compare its features with those of its exports."""
    run = folder / method
    shutil.rmtree(run, ignore_errors=True)
    found = {method: outcome(lambda: pretrain(config_of(family, method, data), run) and "works")}
    if found[method] != "works" or method == "iBOT":  # of which the features are those that DINO's are
        return found
    wanted = features(run, data)
    found[f"{method}: features"] = f"{POOLS[load_run(run)[1].pool]}, {wanted.shape[1]}"
    found[f"{method}: local-dir"] = outcome(lambda: same(features(f"timm:local-dir:{run}", data), wanted))
    found[f"{method}: timm"] = outcome(lambda: as_in(run, export(run, "timm")))
    found[f"{method}: torch"] = outcome(lambda: same(features(export(run, "torch"), data), wanted))
    parameters = sum(each.numel() for each in load_run(run)[1].encoder.model.parameters())
    if method == "VICReg" and parameters < ONNX_MILLIONS * 1e6:
        found["onnx"] = outcome(lambda: export(run, "onnx") and "works")
    shutil.rmtree(run)
    return found


def evaluated(family: Family, data: Path) -> dict[str, str]:
    """Load the member as a model of timm with random weights, and score k-NN on its features."""
    frozen = load_model(f"timm:{family.model}", random_weights=True)
    found = {"pool": f"{POOLS[frozen.pool]}, {frozen.encoder.pooled_width}"}
    found["class token"] = "yes" if frozen.encoder.has_cls else "no"
    del frozen
    pictures = torch.from_numpy(features(f"timm:{family.model}", data, random_weights=True, size=family.size))
    labels = torch.arange(len(pictures)) // (len(pictures) // 2)
    accuracy = knn_accuracy(pictures[::2], labels[::2], pictures[1::2], labels[1::2], k=2)
    found["k-NN"] = f"works ({accuracy:.2f})"
    return found


def tried(family: Family, data: Path, folder: Path) -> dict[str, str]:
    """Return all that was found of a family, by name."""
    model = timm.create_model(family.model, num_classes=0)
    found = {"parameters": f"{sum(each.numel() for each in model.parameters()) / 1e6:.2f} M"}
    del model
    for method in METHODS:
        found |= trained(family, method, data, folder)
        gc.collect()
    scored: dict[str, str] = {}
    said = outcome(lambda: scored.update(evaluated(family, data)) or "works")
    found |= scored if said == "works" else {"k-NN": said}
    return {name: said.replace(str(folder), "runs").replace(str(data), "pictures") for name, said in found.items()}


def draw_pictures(folder: Path) -> Path:
    """Draw two classes of four pictures, disc and square, and return their folder."""
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:96, :96]
    for name in ("disc", "square"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(4):
            pixels = np.empty((96, 96, 3), dtype=np.uint8)
            pixels[:] = generator.integers(0, 255, 3)
            centre_x, centre_y, radius = (
                generator.integers(30, 66),
                generator.integers(30, 66),
                generator.integers(12, 28),
            )
            across, down = x - centre_x, y - centre_y
            disc = across**2 + down**2 < radius**2
            pixels[disc if name == "disc" else np.maximum(abs(across), abs(down)) < radius] = generator.integers(
                0, 255, 3
            )
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


COLUMNS = {
    "parameters": "parameters",
    "px": "px",
    **{method: method for method in METHODS},
    "pool": "pooling in timm, channels",
    "k-NN": "k-NN",
    "exports": "exports",
    "onnx": "ONNX",
}


def page(results: dict[str, dict[str, str]]) -> str:
    """Return the table, with the sentences of refusals below it."""
    notes: list[str] = []

    def cell(text: str) -> str:
        if not text.startswith(("refused: ", "FAILED: ")):
            return text
        if text not in notes:
            notes.append(text)
        return f"{text.split(':')[0]} [{notes.index(text) + 1}]"

    rows = []
    for family in FAMILIES:
        found = results.get(family.model)
        if found is None:
            continue
        exports = {name: said for name, said in found.items() if name.endswith((": local-dir", ": timm", ": torch"))}
        wrong = {f"{name} {cell(said)}" for name, said in exports.items() if said != "works"}
        found = found | {"px": str(family.size), "exports": ", ".join(sorted(wrong)) or ("work" if exports else NONE)}
        cells = [family.name, f"`{family.model}`", *(cell(found.get(name, NONE)) for name in COLUMNS)]
        rows.append(f"| {' | '.join(cells)} |")
    titles = ("family", "model", *COLUMNS.values())
    head = f"| {' | '.join(titles)} |\n|{'---|' * len(titles)}\n"
    listed = "\n".join(f"{number}. {note}" for number, note in enumerate(notes, start=1))
    return (
        "# Families of encoders\n\n"
        f"Written by `python experiments/families.py` on {date.today()}: {platform.machine()}, one thread, Python "
        f"{platform.python_version()}, torch {torch.__version__}, timm {timm.__version__}; random weights, seed 0. "
        "One small member of each family with its own default arguments: two steps of VICReg, of DINO with two "
        "local crops, and of iBOT with masks, each with the task (render decoder) on eight pictures; k-NN (two "
        "classes, two pictures each) on the features of random weights, which shows that they can be computed, "
        "not how good they are; features of each run of VICReg and DINO compared with those of "
        f"`timm:local-dir:RUN` and of its exports to timm and torch, on the same files, equal to {TOLERANCE:g}; ONNX, "
        f"checked with ONNX Runtime, of VICReg's encoders below {ONNX_MILLIONS:g} M parameters. A refused model is "
        "refused before training, with the numbered sentence below.\n\n"
        f"{head}" + "\n".join(rows) + f"\n\n## Sentences\n\n{listed}\n"
    )


def main() -> int:
    """Try all families that have not been tried, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/families"))
    parser.add_argument("--only", help="models, with commas; the page is then not written")
    given = parser.parse_args()
    torch.set_num_threads(1)
    only = given.only.split(",") if given.only else None
    data = draw_pictures(given.out / "pictures")
    results = {}
    for family in sorted(FAMILIES, key=lambda each: each.size):
        if only and family.model not in only:
            continue
        file = given.out / f"{family.model}.json"
        asked = json.loads(json.dumps(dataclasses.asdict(family)))
        kept = json.loads(file.read_text()) if file.is_file() else {}
        if kept.get("family") != asked or only:
            kept = {"family": asked, "found": tried(family, data, given.out / "runs")}
            write_aside(file, json.dumps(kept, indent=2))
        results[family.model] = kept["found"]
        print(family.model, kept["found"], flush=True)
    if not only:
        write_page(page(results), PAGE)
        print(PAGE)
    return any(said.startswith("FAILED") for found in results.values() for said in found.values())


if __name__ == "__main__":
    sys.exit(main())
