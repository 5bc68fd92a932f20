#!/usr/bin/env bash
# What to learn from a GPU in a quarter of an hour: do the tests pass there, how fast is a step, does a recipe train.
#
#     benchmarks/gpu_quarter_hour.sh [--wheels DIR] [--rehearse]
#
# Writes into $OUT (default benchmarks/results) as it goes, so that whatever stops it leaves what was measured:
# gpu-DATE.md (one line a stage), the logs gpu-DATE-STAGE.log, and the results of benchmarks/step.py.
#
# --rehearse   the same commands at tiny sizes on the CPU, in under three minutes on two idle cores; do this first
# --wheels     a folder of wheels that the machine's Python lacks, used from a temporary folder and installed nowhere
# BUDGET       seconds for all stages (default 780, of a rehearsal 3600); the recipe takes what the others leave
# PYTHON       the Python that has torch (default python3)
#
# It needs no network. Beside torch (2.11 or later), timm and accelerate with what they bring, it needs numba, tyro,
# trimesh, rich, matplotlib, pillow and, for the tests, pytest and hypothesis. To prepare those for a Python 3.11 there:
#
#     pip download --only-binary :all: --python-version 3.11 --platform manylinux_2_28_x86_64 \
#         --platform manylinux2014_x86_64 --no-deps --dest wheels \
#         numba llvmlite tyro docstring-parser trimesh rich markdown-it-py mdurl pygments matplotlib \
#         contourpy cycler fonttools kiwisolver pyparsing python-dateutil six pytest iniconfig pluggy \
#         hypothesis sortedcontainers pyyaml
#
# (add typeguard and shtab where an older tyro asks for them), and leave out what is there: --wheels comes first.
set -uo pipefail
cd "$(dirname "$0")/.."

rehearse=""
wheels=""
while [ $# -gt 0 ]; do
    case $1 in
        --rehearse) rehearse=yes ;;
        --wheels) wheels=$(cd "$2" && pwd) && shift || exit 2 ;;
        *) echo "unknown argument '$1'; --wheels DIR and --rehearse are known" >&2 && exit 2 ;;
    esac
    shift
done

python=${PYTHON:-python3}
out=${OUT:-benchmarks/results}
mkdir -p "$out"
out=$(cd "$out" && pwd)
budget=${BUDGET:-$([ -n "$rehearse" ] && echo 3600 || echo 780)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
name=gpu-$(date -u +%F)
[ -n "$rehearse" ] && name=rehearsal-$(date -u +%F)
page=$out/$name.md

if [ -n "$wheels" ]; then
    for wheel in "$wheels"/*.whl; do
        "$python" -m zipfile -e "$wheel" "$work/site"
    done
    export PYTHONPATH=$work/site${PYTHONPATH:+:$PYTHONPATH}
fi
export PYTHONPATH=$PWD/src${PYTHONPATH:+:$PYTHONPATH}
export EQUICOHERENCE_CACHE=${EQUICOHERENCE_CACHE:-$work/cache}
[ -n "$rehearse" ] && export CUDA_VISIBLE_DEVICES=""

missing=$("$python" - <<'PYTHON'
from importlib.util import find_spec
needed = ["torch", "torchvision", "timm", "accelerate", "safetensors", "numpy", "numba", "tyro", "trimesh", "rich",
          "matplotlib", "PIL", "yaml", "pytest", "hypothesis"]
print(*(name for name in needed if find_spec(name) is None))
PYTHON
) || exit 2
[ -n "$missing" ] && echo "$python lacks $missing; give their wheels with --wheels (the head of this file says how)" >&2 && exit 2

{
    echo "# A quarter of an hour on a GPU"
    echo
    [ -n "$rehearse" ] && echo "A rehearsal at tiny sizes on the CPU: its figures mean nothing." && echo
    "$python" - <<'PYTHON'
import datetime, os, platform, torch
gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
print(f"- date: {datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds')}")
print(f"- gpu: {gpu}\n- cores: {os.cpu_count()}\n- python: {platform.python_version()}\n- torch: {torch.__version__}")
PYTHON
    echo
    echo "| stage | seconds | status | last line |"
    echo "|---|---|---|---|"
} > "$page"
if [ -z "$rehearse" ] && grep -q "^- gpu: none" "$page"; then
    echo "torch finds no GPU; --rehearse runs on the CPU" >&2 && exit 2
fi

# stage NAME LIMIT COMMAND...: run for at most LIMIT seconds of the budget, and note how it ended (124: out of time).
stage() {
    local title=$1 limit=$2 start=$SECONDS left=$((budget - SECONDS)) status
    shift 2
    if [ -n "$rehearse" ] || [ "$limit" -gt "$left" ]; then
        limit=$left # a rehearsal's machine may be busy; its stages end by themselves
    fi
    if [ "$limit" -lt 5 ]; then
        echo "| $title | 0 | no time left | |" >> "$page"
        return
    fi
    echo "== $title, at most $limit s"
    timeout --signal=TERM --kill-after=20 "$limit" "$@" > "$out/$name-$title.log" 2>&1
    status=$?
    tail -n 3 "$out/$name-$title.log"
    echo "| $title | $((SECONDS - start)) | $status | $(grep . "$out/$name-$title.log" | tail -n 1 | tr '|' ' ' | cut -c1-160) |" >> "$page"
}

if [ -n "$rehearse" ]; then
    on_cpu=(--device cpu --size 32 --batch 8 --steps 1 --warm 1 --repeats 1 --threads 2 --no-peers --head 32 16 64
        --projector 64 --crops 2 --crop-size 16 --source 32 --out "$out")
    small=("${on_cpu[@]}" --model vit_tiny_patch16_224 --model-args depth=2 embed_dim=48)
    large=("${on_cpu[@]}" --model vit_small_patch16_224 --model-args depth=2 embed_dim=48 num_heads=3)
    recipe=(simclr-tiny --max-steps 8 --log-every 4 --optim.batch-size 64)
    tests=(tests/paths/test_masks.py tests/paths/test_constants.py)
    more=(tests/training/test_parts.py)
    scoring=(--transformations rotation --borders content --probes linear --images 64 --limit 64)
else
    on_gpu=(--device cuda --size 224 --dtype bf16 --threads "$(nproc)" --workers "$(nproc)" --head 2048 256 8192
        --source 256 --crop-size 96 --out "$out")
    small=("${on_gpu[@]}" --model vit_small_patch16_224 --model-args --batch 256 --crops 8 --steps 10 --repeats 3)
    large=("${on_gpu[@]}" --model vit_large_patch16_224 --model-args --batch 64 --crops 8 --steps 5 --repeats 2 --no-peers)
    recipe=(vicreg-small --data objects --optim.epochs 5 --checkpoint-every 100)
    tests=(tests/paths tests/models tests/methods tests/test_coherence.py)
    more=(tests/training)
    scoring=(--transformations rotation --borders content --probes mlp --images 2000 --limit 2000)
fi
pytest=("$python" -m pytest -q -p no:cacheprovider -W default -o addopts=)

stage tests-of-gpu 60 "${pytest[@]}" -k "gpu or device or host" tests/paths tests/models tests/test_coherence.py
stage tests-of-parts 100 "${pytest[@]}" "${tests[@]}"
stage step-small 200 "$python" benchmarks/step.py "${small[@]}" --methods vicreg dinov2
stage step-small-plain-compiled 90 "$python" benchmarks/step.py "${small[@]}" --methods vicreg --no-task --no-peers --compile --out "$out/compiled"
stage step-large 120 "$python" benchmarks/step.py "${large[@]}" --methods vicreg dinov2 --no-task
stage tests-of-training 90 "${pytest[@]}" "${more[@]}"
# A run that is told to stop saves first: a quarter of what is left is kept for its scores.
stage recipe $(((budget - SECONDS) * 3 / 4)) "$python" -m equicoherence pretrain "${recipe[@]}" --out "$work/run"
tail -n 5 "$work/run/metrics.jsonl" >> "$page" 2>/dev/null
stage scores $((budget - SECONDS)) "$python" -m equicoherence evaluate "$work/run" --tasks transformation,knn "${scoring[@]}"
cp "$work/run/metrics.jsonl" "$out/$name-metrics.jsonl" 2>/dev/null
cp "$work/run/scores.json" "$out/$name-scores.json" 2>/dev/null
echo "$page after $SECONDS s"
