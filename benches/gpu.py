#!/usr/bin/env python3
"""mailsort on a GPU beside transformers and the bare products, on checkpoints of released shapes, in one run.

    python3 benches/gpu.py TOKENIZER.json --mailsort BINARY [--sizes 0.6b 4b] [--work DIR] [--device cuda]
        [--dtype bf16] [--mails 240] [--mail-tokens 300] [--labels 12] [--label-tokens 20] [--batch-tokens 16384]
        [--pairs 32 64 128] [--rounds 3] [--layers N] [--bars] [--parity [TESTS]]

For every size make_checkpoint.py writes random weights to DIR/SIZE, unless they lie there. Then, one after another:

  mailsort       `mailsort classify` over a file of --mails mails. Its records come piece by piece; those of the first
                 piece end the warm-up (start, weights, compiling of kernels), and what comes after is timed.
  products       torch.matmul of a batch of --batch-tokens tokens with the weights of a layer (qkv, o, gate and up,
                 down): what the device gives to products that wait for nothing. The share is what mailsort's trunk
                 makes of that rate, counting the products alone.
  transformers   pairs, padded on the left, in the best of the batch sizes --pairs, with SDPA.

Logits of both on the first mail are compared with those of transformers in f32: mailsort may not be twice as far.
Memory is what nvidia-smi counts for mailsort, and torch for the other.

--bars ends with 1 and names what missed: for 4b, half of the rate of the products and five times transformers' pairs.
--parity runs the tests that a GPU can fail: with cargo, or TESTS, a test binary that was built elsewhere with
`cargo test --release --features cuda --no-run --lib`.

Needs torch, transformers and what make_checkpoint.py needs. `--device cpu --layers 2 --sizes 0.6b --mails 48` tries the
script out where there is no GPU.
"""

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from math import prod
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.dont_write_bytecode = True
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import torch

from transformers import AutoModelForCausalLM
from transformers.utils import logging

from peers import INSTRUCT, Task, texts

SHARE, SPEEDUP, BARRED = 0.5, 5.0, "4b"
# How many times as far from f32 as transformers in the same type, and what is too little to speak of.
FARTHER, NEAR = 2.0, 0.002
DTYPES = {"bf16": torch.bfloat16, "f16": torch.float16, "f32": torch.float32}


def shared_tokens(task):
    """How many tokens the prompts of one mail share: all before the space of the label."""
    body = texts.body(INSTRUCT, task.mails[0], "").rstrip(" ")
    count = sum(task.count(part) for part in (texts.PREFIX, body))
    assert len({tuple(prompt[:count]) for prompt in task.prompts}) == 1, "the prompts do not share their beginning"
    return count


class Shape:
    """Weights of a layer, as (outputs, inputs)."""

    def __init__(self, config):
        hidden, head = config["hidden_size"], config["head_dim"]
        queries, keys = (config[f"num_{kind}_heads"] * head for kind in ("attention", "key_value"))
        inner = config["intermediate_size"]
        self.layers = config["num_hidden_layers"]
        self.products = [(queries + 2 * keys, hidden), (hidden, queries), (2 * inner, hidden), (hidden, inner)]

    def layer(self, tokens):
        """Operations of the products of one layer, for all tokens."""
        return 2 * tokens * sum(prod(shape) for shape in self.products)

    def operations(self, tokens, wanted):
        """Of all products of the trunk: the last layer makes queries and keys of all tokens, the rest of those wanted."""
        first, *others = map(prod, self.products)
        return (self.layers - 1) * self.layer(tokens) + 2 * (tokens * first + wanted * sum(others))


class Memory:
    """The most memory that a process takes: on a GPU beyond what was taken before it began."""

    def __init__(self, process, device):
        self.process, self.device, self.most, self.done = process, device, 0, threading.Event()
        self.failure = None
        self.thread = threading.Thread(target=self.watch, daemon=True)

    @staticmethod
    def used(device):
        # nvidia-smi counts all GPUs, in an order of its own; CUDA those that CUDA_VISIBLE_DEVICES leaves.
        uuid = str(torch.cuda.get_device_properties(device).uuid)
        uuid = uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}"
        asked = ["nvidia-smi", "-i", uuid, "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
        return int(subprocess.run(asked, capture_output=True, text=True, check=True).stdout) << 20

    def now(self):
        if self.device != "cpu":
            return self.used(self.device)
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next((int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM")), 0)

    def watch(self):
        while not self.done.wait(0.2):
            try:
                self.most = max(self.most, self.now())
            except (OSError, ValueError, subprocess.SubprocessError) as failure:
                # A process that has just ended has no status any more, which is no failure.
                if self.device != "cpu" or self.most == 0:
                    self.failure = failure
                return

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()
        if self.failure is not None:
            sys.exit(f"the memory of {self.device} cannot be measured: {self.failure}")


def libraries():
    """An environment in which programs find the CUDA libraries that came with torch, behind those of the system."""
    folders = sorted(str(folder) for site in sys.path for folder in Path(site).glob("nvidia/*/lib"))
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(filter(None, [os.environ.get("LD_LIBRARY_PATH"), *folders]))}


def mailsort(given, task, folder, work):
    """Seconds a mail once it is warm, the logits of the first mail, and the most memory."""
    mails, labels = work / "mails.jsonl", work / "labels.txt"
    with open(mails, "w") as out:
        for at in range(given.mails):
            out.write(json.dumps({"text": task.mails[at % len(task.mails)]}) + "\n")
    labels.write_text("".join(f"{name}: {text}\n" for name, text in task.labels.items()))
    command = [given.mailsort.resolve(), "classify", mails, "--input-format", "jsonl", "--labels", labels]
    command += ["--model", folder, "--instruct", INSTRUCT, "--device", given.device, "--dtype", given.dtype]
    command += ["--batch-tokens", str(given.batch_tokens), "--raw-scores", "--top-k", str(given.labels)]
    before = 0 if given.device == "cpu" else Memory.used(given.device)
    streams = dict(stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    process = subprocess.Popen(command, env=libraries(), **streams)
    came, first = [], None
    with Memory(process, given.device) as memory:
        for line in process.stdout:
            came.append(time.perf_counter())
            first = first or json.loads(line)
    if process.wait() != 0 or len(came) != given.mails:
        sys.exit(f"mailsort ended with status {process.returncode} after {len(came)} of {given.mails} mails")
    # A piece is written at once, so that its records come within a moment.
    pause = max(late - early for early, late in zip(came, came[1:])) / 10
    warm = next(at for at in range(1, len(came)) if came[at] - came[at - 1] > pause)
    seconds = (came[-1] - came[warm - 1]) / (len(came) - warm)
    if len(came) - warm < len(came) // 2:
        print(f"only {len(came) - warm} of {len(came)} mails came after the first piece; give more --mails")
    return seconds, {label["label"]: label["score"] for label in first["labels"]}, memory.most - before


def wait(device):
    if device != "cpu":
        torch.cuda.synchronize(device)


def timed(run, rounds, device):
    """Median seconds, after one run to warm up."""
    run()
    taken = []
    for _ in range(rounds):
        wait(device)
        start = time.perf_counter()
        run()
        wait(device)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def products(given, shape, tokens):
    """Operations a second of the products of a layer."""
    options = dict(dtype=DTYPES[given.dtype], device=given.device)
    random = lambda *sizes: torch.randn(*sizes, **options)
    pairs = [(random(tokens, inputs), random(outputs, inputs)) for outputs, inputs in shape.products]
    repeat = 1 if given.device == "cpu" else 10

    def run():
        for _ in range(repeat):
            for x, weight in pairs:
                torch.matmul(x, weight.t())

    return repeat * shape.layer(tokens) / timed(run, given.rounds, given.device)


class Transformers:
    def __init__(self, given, task, folder, dtype):
        logging.disable_progress_bar()
        self.given, self.task = given, task
        load = AutoModelForCausalLM.from_pretrained
        model = load(folder, dtype=dtype, attn_implementation="sdpa")
        self.model = model.to(given.device).eval()

    def differences(self):
        """The logit of yes less that of no, for every label of the first mail, alone."""
        return [(yes - no).item() for prompt in self.task.prompts for yes, no in self.logits([prompt])]

    @torch.inference_mode()
    def logits(self, prompts):
        """Of yes and no for every prompt. Shape: [prompts, 2]."""
        longest = max(map(len, prompts))
        padded = lambda rows: torch.tensor([[0] * (longest - len(row)) + row for row in rows], device=self.given.device)
        ids, mask = padded(prompts), padded([[1] * len(prompt) for prompt in prompts])
        out = self.model(input_ids=ids, attention_mask=mask, logits_to_keep=1, use_cache=False).logits[:, -1]
        return out[:, self.task.yes_no].float().cpu()

    def pairs_per_second(self):
        """Of the best batch, and its size."""
        best = (0.0, 0)
        for size in self.given.pairs:
            prompts = [self.task.prompts[at % len(self.task.prompts)] for at in range(size)]
            try:
                seconds = timed(lambda: self.logits(prompts), self.given.rounds, self.given.device)
                best = max(best, (size / seconds, size))
            except torch.OutOfMemoryError:
                print(f"transformers: {size} pairs do not fit")
        return best


def free(device):
    gc.collect()
    if device != "cpu":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def measure(given, size, work):
    folder = given.work / size
    if not (folder / "model.safetensors").exists():
        layers = ["--layers", str(given.layers)] if given.layers else []
        make = [ROOT / "benches/make_checkpoint.py", given.tokenizer, folder, "--size", size, "--no-gguf", *layers]
        subprocess.run([sys.executable, *make], check=True)
    given.folder = folder
    # Two dozen different mails are enough, since nothing is kept from one to the next.
    task = Task(argparse.Namespace(**{**vars(given), "mails": min(given.mails, 24)}))
    shape = Shape(json.loads((folder / "config.json").read_text()))
    shared = shared_tokens(task)
    mail_tokens = shared + sum(len(prompt) - shared for prompt in task.prompts)
    whole = f"{task.tokens} in whole prompts"
    print(f"{size}: {shape.layers} layers; {shared} tokens shared, {mail_tokens} a mail, {whole}", flush=True)
    seconds, logits, memory = mailsort(given, task, folder, work)
    batch = max(1, given.batch_tokens // mail_tokens) * mail_tokens
    rate = products(given, shape, batch)
    peer = Transformers(given, task, folder, DTYPES[given.dtype])
    theirs = peer.differences()
    pairs, best = peer.pairs_per_second()
    peer_memory = 0 if given.device == "cpu" else torch.cuda.max_memory_allocated(given.device)
    del peer
    free(given.device)
    exact = Transformers(given, task, folder, torch.float32).differences()
    free(given.device)
    ours = [logits[name] for name in task.labels]
    operations = shape.operations(mail_tokens, given.labels)
    off = lambda got: max(abs(one - other) for one, other in zip(got, exact))
    return {
        "pairs/s": given.labels / seconds,
        "tokens/s": mail_tokens / seconds,
        "TFLOP/s": operations / seconds / 1e12,
        "products TFLOP/s": rate / 1e12,
        "share": operations / seconds / rate,
        "transformers pairs/s": pairs,
        "in batches of": best,
        "times": given.labels / seconds / pairs,
        "GB": memory / 1e9,
        "transformers GB": peer_memory / 1e9,
        "logits off by": off(ours),
        "transformers off by": off(theirs),
    }


def report(rows):
    print("\n" + " " * 22 + "".join(f"{size:>12}" for size in rows))
    for name in next(iter(rows.values())):
        digits = 0 if name in ("pairs/s", "tokens/s", "in batches of") else 4 if name.endswith("off by") else 2
        print(f"{name:<22}" + "".join(f"{row[name]:>12.{digits}f}" for row in rows.values()))


def missed(given, rows):
    for size, row in rows.items():
        if row["logits off by"] > FARTHER * row["transformers off by"] + NEAR:
            theirs = f"those of transformers by {row['transformers off by']:.4f}"
            yield f"{size}: logits are off by {row['logits off by']:.4f}, {theirs}"
    if given.bars and BARRED not in rows:
        yield f"the bars are for {BARRED}, which was not measured"
    elif given.bars:
        if rows[BARRED]["share"] < SHARE:
            yield f"{BARRED}: {rows[BARRED]['share']:.2f} of the products' rate, not {SHARE}"
        if rows[BARRED]["times"] < SPEEDUP:
            yield f"{BARRED}: {rows[BARRED]['times']:.1f} times transformers, not {SPEEDUP}"


def parity(tests, features):
    """Runs what a GPU can fail; without a device these tests fail too, since they are told that there is one."""
    environment = {**libraries(), "MAILSORT_REQUIRE": "gpu", "CARGO_MANIFEST_DIR": str(ROOT)}
    command = [tests] if tests else ["cargo", "test", "--release", "--features", features, "--lib", "--"]
    command += ["engine::parity::gpu", "--nocapture", "--test-threads=1"]
    ran = subprocess.run(command, env=environment, cwd=ROOT)
    return ran.returncode == 0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("--mailsort", type=Path, metavar="BINARY", required=True)
    parser.add_argument("--sizes", nargs="*", default=["0.6b", "4b"])
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "mailsort-gpu")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dtype", choices=DTYPES, default="bf16")
    parser.add_argument("--mails", type=int, default=240)
    parser.add_argument("--mail-tokens", type=int, default=300)
    parser.add_argument("--labels", type=int, default=12)
    parser.add_argument("--label-tokens", type=int, default=20)
    parser.add_argument("--batch-tokens", type=int, default=16384)
    parser.add_argument("--pairs", type=int, nargs="+", default=[32, 64, 128])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--layers", type=int, help="fewer layers, to try things out")
    parser.add_argument("--bars", action="store_true")
    parser.add_argument("--parity", nargs="?", const="", metavar="TESTS")
    parser.add_argument("--features", default="cuda", help="for cargo, with --parity")
    return parser.parse_args()


def main():
    given = arguments()
    given.work.mkdir(parents=True, exist_ok=True)
    name = "the processor" if given.device == "cpu" else torch.cuda.get_device_name(given.device)
    print(f"{name}, {given.dtype}, torch {torch.__version__}", flush=True)
    rows = {}
    with tempfile.TemporaryDirectory(prefix="mailsort-gpu-") as work:
        for size in given.sizes:
            rows[size] = measure(given, size, Path(work))
    if rows:
        report(rows)
    failures = list(missed(given, rows)) if rows or given.bars else []
    if given.parity is not None and not parity(given.parity and Path(given.parity).resolve(), given.features):
        failures.append("parity: tests failed")
    for failure in failures:
        print(f"missed: {failure}")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
