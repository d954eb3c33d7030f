#!/bin/sh
# Makes model/builtin.safetensors again.  usage: model/make/run.sh WHEELS FIRST [TRAIN] [LABELLED] [PAIRS] [WORK]
# WHEELS holds the wheels that ../README.md names, FIRST is the first edition of the file: the model of commit 6baa984.
# Needs Python 3.11 and the packages of requirements.txt. Times: ../README.md.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
repo=$(cd "$here/../.." && pwd)
wheels=$(cd "$1" && pwd)
first=$(realpath "$2")
train=$(cd "${3:-$repo/../shared/data/train}" && pwd)
labelled=$(cd "${4:-$repo/../shared/data/labelled}" && pwd)
pairs=$(cd "${5:-$repo/../shared/data/pairs}" && pwd)
work=${6:-$repo/target/model}
mkdir -p "$work/data" "$repo/tests/golden"
cd "$here"

for name in strings samples; do
    test -e "$work/data/$name.jsonl" || xz -dkc "$train/$name.jsonl.xz" > "$work/data/$name.jsonl"
done
python select_samples.py "$work/data" "$labelled" "$work"
python pieces.py "$first" "$work"
python teacher_export.py "$work"
python e5.py "$wheels" "$work"
python texts.py "$work" "$work/e5_tokenizer.json"
export OMP_NUM_THREADS=1
# Each goes on where it was stopped, and all may stop early: texts come in the order of their weight.
for teacher in e5 use minilm; do
    python teacher_embed.py "$wheels" "$work" $teacher
done
python targets.py "$work" "$first" .7 0 "$work/targets1.npy"
python targets.py "$work" "$first" 1 .4 "$work/targets2.npy"
python prepare.py "$work"
python warm.py "$work" "$first" "$work/warm.npz"
python pairs.py "$pairs" "$labelled" "$work"
for seed in 1 2; do
    python train.py "$work" "$work/targets$seed.npy" "$work/warm.npz" "$work/taught$seed.npz" --seed $seed
done
python average.py .5 "$work/taught1.npz" "$work/taught2.npz" "$work/taught.npz"
python average.py .7 "$work/warm.npz" "$work/taught.npz" "$work/model.npz"
python export.py "$labelled" "$work" "$repo/model/builtin.safetensors"
python golden.py "$repo/model/builtin.safetensors" "$repo/tests/golden/builtin.json"
python measure.py minilm "$labelled" "$repo/model/minilm.json" "$work/minilm.onnx"
python measure.py builtin "$labelled" "$repo/model/zero_shot.json" "$repo/model/builtin.safetensors"
python calibrate.py "$labelled" "$repo/model/builtin.safetensors"
