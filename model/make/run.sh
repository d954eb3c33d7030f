#!/bin/sh
# Makes model/builtin.safetensors again from the data folder.  usage: model/make/run.sh [TRAIN] [LABELLED] [WORK]
# Needs Python 3.11 and the packages of requirements.txt. Times: ../README.md.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
repo=$(cd "$here/../.." && pwd)
train=$(cd "${1:-$repo/../shared/data/train}" && pwd)
labelled=$(cd "${2:-$repo/../shared/data/labelled}" && pwd)
work=${3:-$repo/target/model}
mkdir -p "$work/data" "$repo/tests/golden"
cd "$here"

test -e "$work/data/lex" || tar xf "$train/lexicon.tar.xz" -C "$work/data"
for name in strings samples; do
    test -e "$work/data/$name.jsonl" || xz -dkc "$train/$name.jsonl.xz" > "$work/data/$name.jsonl"
done
python select_samples.py "$work/data" "$labelled" "$work"
python tokenizer.py "$work/data" "$work"
python teacher_export.py "$work"
rm -f "$work/teacher.f16"
export TOKENIZERS_PARALLELISM=false
python teacher_embed.py "$work" 0 2 &
python teacher_embed.py "$work" 1 2
wait
export TOKENIZERS_PARALLELISM=true
python prepare.py "$work"
python train.py "$work" "$work/table.npz" --static --steps 6500 --intents 1.5 --phrases .3
python train.py "$work" "$work/context.npz" --table "$work/table.npz" --steps 3000
python train.py "$work" "$work/model.npz" --resume "$work/context.npz" --steps 2000 --rate 2e-3 --intents 2.5 --phrases 1
python export.py "$labelled" "$work" "$repo/model/builtin.safetensors"
python golden.py "$repo/model/builtin.safetensors" "$repo/tests/golden/builtin.json"
python measure.py minilm "$labelled" "$repo/model/minilm.json" "$work/minilm.onnx"
python measure.py builtin "$labelled" "$repo/model/zero_shot.json" "$repo/model/builtin.safetensors"
