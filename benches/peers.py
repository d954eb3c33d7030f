#!/usr/bin/env python3
"""mailsort beside transformers and llama.cpp, on one Qwen3 reranker, in one run.

    python3 benches/peers.py FOLDER --mailsort BINARY [--mailsort-models DIR[:DTYPE] ..] [--gguf FILE.gguf]
        [--threads 2] [--rounds 3] [--mail-tokens 300] [--labels 12] [--label-tokens 20] [--mails 9]
        [--only NAME ..] [--busy]

FOLDER is what make_checkpoint.py wrote, or a released reranker; FILE.gguf is FOLDER.gguf unless it is named.

The peers, each scoring pair by pair with the model's own template, on the same threads:
  transformers f32    weights widened to float32, SDPA attention, logits of the last position only
  transformers bf16   weights as they are; PyTorch gives the products to oneDNN
  llama.cpp           the GGUF file through llama-cpp-python (PyPI; built from source for this machine, with
                      CMAKE_ARGS="-DGGML_NATIVE=on"), pooling RANK, one prompt a batch, so no vocabulary of logits
  mailsort MODEL      `mailsort classify` over an mbox of --mails mails, less the same for one mail: start and loading
                      of the weights fall out. Its models are FOLDER and FILE.gguf unless --mailsort-models says
                      otherwise; `DIR:bf16` passes --dtype bf16.

A round runs all of them in turn, each peer over the labels of one mail, so that a busy minute hits them all; what
counts is the median round. tokens/s counts the tokens of whole prompts for everybody: mailsort may share their
beginning, and is then faster than its arithmetic. Peers that are not installed are left out, and said to be.

With --busy every round is run once more while as many busy loops as threads run beside it, and the ratio of the two is
printed: about 2 is a fair share, and much more a program that waits for itself.

Needs transformers and torch (versions in tests/models/README.md) and llama-cpp-python 0.3.36.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tests" / "models"))
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import tokenizers

import texts

INSTRUCT = "Given an e-mail, decide whether the label describes it"
WORDS = (
    "the customer asks whether our invoice for last month was paid and when the next order will be shipped to them "
    "because their office in Geneva moves on Friday and nobody is there to sign before Monday please answer soon"
).split()


# What is scored


class Task:
    """Mails and labels of about the wanted numbers of tokens, and their prompts."""

    def __init__(self, given):
        self.tokenizer = tokenizers.Tokenizer.from_file(str(given.folder / "tokenizer.json"))
        self.labels = {f"label{at:02}": self.text(given.label_tokens - 4, 5 * at) for at in range(given.labels)}
        self.mails = [self.text(given.mail_tokens, 3 * at + 1) for at in range(given.mails)]
        self.yes_no = [self.tokenizer.token_to_id(word) for word in ("yes", "no")]
        self.prompts = [self.prompt(self.mails[0], label) for label in self.labels.items()]
        self.tokens = sum(map(len, self.prompts))

    def count(self, text):
        return len(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def text(self, tokens, start):
        """Words from the `start`th on, in an order of their own, until there are enough tokens."""
        words, at = [], start
        while self.count(" ".join(words)) < tokens:
            words.append(WORDS[(at * (start % 7 + 1) + at // len(WORDS)) % len(WORDS)])
            at += 1
        return " ".join(words)

    def prompt(self, mail, label):
        body = texts.body(INSTRUCT, mail, "{}: {}".format(*label))
        parts = (texts.PREFIX, body, texts.SUFFIX)
        return [token for part in parts for token in self.tokenizer.encode(part, add_special_tokens=False).ids]


# Who scores it


class Transformers:
    """Scores one prompt at a time; `dtype` names one of torch's."""

    def __init__(self, task, folder, dtype, threads):
        import torch
        from transformers import AutoModelForCausalLM
        from transformers.utils import logging

        logging.disable_progress_bar()
        torch.set_num_threads(threads)
        self.torch, self.task = torch, task
        dtype = getattr(torch, dtype)
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="sdpa").eval()

    def run(self):
        with self.torch.inference_mode():
            return [self.score(prompt) for prompt in self.task.prompts]

    def score(self, prompt):
        logits = self.model(self.torch.tensor([prompt]), logits_to_keep=1, use_cache=False).logits[0, -1]
        yes, no = logits[self.task.yes_no].float()
        return self.torch.sigmoid(yes - no).item()


class LlamaCpp:
    """Scores one prompt at a time through llama.cpp's own calls, since the wrapper's would tokenise anew."""

    def __init__(self, task, path, threads):
        import llama_cpp

        longest = max(map(len, task.prompts))
        batch = -(-longest // 32) * 32
        sizes = dict(n_ctx=batch, n_batch=batch, n_ubatch=batch, n_threads=threads, n_threads_batch=threads)
        rank = llama_cpp.LLAMA_POOLING_TYPE_RANK
        self.model = llama_cpp.Llama(str(path), embedding=True, pooling_type=rank, verbose=False, **sizes)
        self.calls, self.task = llama_cpp.llama_cpp, task

    def run(self):
        return [self.score(prompt) for prompt in self.task.prompts]

    def score(self, prompt):
        inner, batch = self.model._ctx, self.model._batch
        self.calls.llama_memory_clear(self.calls.llama_get_memory(self.model.ctx), True)
        batch.reset()
        batch.add_sequence(prompt, 0, True)
        inner.decode(batch)
        # The softmax of the two rows.
        return self.calls.llama_get_embeddings_seq(self.model.ctx, 0)[0]


class Mailsort:
    """Runs the program over many mails and over one."""

    def __init__(self, task, binary, model, threads, work):
        path, _, dtype = model.partition(":")
        self.many, self.one, labels = work / "many.mbox", work / "one.mbox", work / "labels.txt"
        self.one.write_text(self.mbox(task.mails[:1]))
        self.many.write_text(self.mbox(task.mails))
        # The instruct is not passed: a label file of plain lines has none, and mailsort's own is as long.
        labels.write_text("".join(f"{name}: {text}\n" for name, text in task.labels.items()))
        self.more = len(task.mails) - 1
        flags = ["--labels", labels, "--model", path, "--threads", str(threads), "--verbose"]
        flags += ["--dtype", dtype] if dtype else []
        self.command = lambda mbox: [binary, "classify", mbox, *flags]

    @staticmethod
    def mbox(mails):
        head = "From mailsort@example.org Sat Jan  1 00:00:00 2000\nFrom: a@example.org\n\n"
        return "".join(head + mail + "\n\n" for mail in mails)

    def seconds(self, mbox):
        start = time.perf_counter()
        ran = subprocess.run(self.command(mbox), stdin=subprocess.DEVNULL, capture_output=True, text=True)
        took = time.perf_counter() - start
        if ran.returncode != 0:
            raise RuntimeError(f"mailsort ended with status {ran.returncode}: {ran.stderr.strip()}")
        self.said = ran.stderr.strip().splitlines()
        return took

    def per_mail(self):
        alone = self.seconds(self.one)
        more = self.seconds(self.many) - alone
        if more <= 0:
            raise RuntimeError("mailsort was done with all mails as soon as with one; give more --mails")
        return more / self.more


def contenders(given, task, work):
    """What was asked for and is there, by name."""
    gguf = given.gguf or given.folder.with_name(given.folder.name + ".gguf")
    makers = {
        "transformers f32": lambda: Transformers(task, given.folder, "float32", given.threads),
        "transformers bf16": lambda: Transformers(task, given.folder, "bfloat16", given.threads),
        "llama.cpp": lambda: LlamaCpp(task, gguf, given.threads),
    }
    if given.mailsort:
        for model in given.mailsort_models or [str(given.folder), str(gguf)]:
            name = f"mailsort {Path(model).name}"
            makers[name] = lambda model=model: Mailsort(task, given.mailsort.resolve(), model, given.threads, work)
    made = {}
    for name, make in makers.items():
        if given.only and not any(name.startswith(wanted) for wanted in given.only):
            continue
        try:
            made[name] = make()
        except (ImportError, ValueError, OSError) as error:
            print(f"{name} is left out: {error}")
    return made


# The report


@contextlib.contextmanager
def busy_loops(count):
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def measure(contender):
    """Seconds for one mail, and the scores of its labels where the contender hands them out."""
    if isinstance(contender, Mailsort):
        return contender.per_mail(), None
    start = time.perf_counter()
    scores = contender.run()
    return time.perf_counter() - start, scores


def report_busy(times, busy, threads):
    print(f"\nbeside {threads} busy loops")
    for name, taken in busy.items():
        slower = [with_loops / alone for with_loops, alone in zip(taken, times[name])]
        print(f"{name:<28}{statistics.median(slower):>9.2f} times the time, at worst {max(slower):.2f}")


def report(task, times):
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    peers = [name for name in times if not name.startswith("mailsort")]
    pairs = len(task.prompts)
    print(f"\n{'':<28}{'pairs/s':>9}{'best':>9}{'tokens/s':>10}" + "".join(f"{'x ' + name:>20}" for name in peers))
    for name, median in medians.items():
        line = f"{name:<28}{pairs / median:>9.2f}{pairs / min(times[name]):>9.2f}{task.tokens / median:>10.0f}"
        print(line + "".join(f"{medians[peer] / median:>20.2f}" for peer in peers))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gguf", type=Path)
    parser.add_argument("--mailsort", type=Path, metavar="BINARY")
    parser.add_argument("--mailsort-models", nargs="+", metavar="MODEL[:DTYPE]")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mail-tokens", type=int, default=300)
    parser.add_argument("--labels", type=int, default=12)
    parser.add_argument("--label-tokens", type=int, default=20)
    parser.add_argument("--mails", type=int, default=9)
    parser.add_argument("--only", nargs="+", metavar="NAME")
    parser.add_argument("--busy", action="store_true")
    given = parser.parse_args()
    if given.mails < 2:
        parser.error("--mails must be 2 or more, since the time of one is taken off")
    return given


def main():
    given = arguments()
    task = Task(given)
    config = json.loads((given.folder / "config.json").read_text())
    sizes = f"{config['num_hidden_layers']} layers of {config['hidden_size']}"
    mail, label = task.count(task.mails[0]), task.count("{}: {}".format(*next(iter(task.labels.items()))))
    mean = task.tokens / given.labels
    print(f"{sizes}; mail of {mail} tokens, {given.labels} labels of {label}, {mean:.0f} a prompt")
    print(f"{given.threads} threads of {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory(prefix="mailsort-peers-") as folder:
        made = contenders(given, task, Path(folder))
        times, busy, scores = {name: [] for name in made}, {name: [] for name in made}, {}
        # The first round warms up and is not counted.
        for at in range(given.rounds + 1):
            for name, contender in made.items():
                taken, scores[name] = measure(contender)
                if at:
                    times[name].append(taken)
                print(f"  round {at} {name}: {taken:.2f} s a mail", flush=True)
                if at and given.busy:
                    with busy_loops(given.threads):
                        busy[name].append(measure(contender)[0])
        for name, contender in made.items():
            if isinstance(contender, Mailsort):
                print(f"{name} says: {contender.said[-1] if contender.said else 'nothing'}")
    first = next((name for name in made if scores[name]), None)
    for name in made:
        if first and scores[name]:
            apart = max(abs(one - other) for one, other in zip(scores[first], scores[name]))
            print(f"P(yes) of {name} is within {apart:.4f} of {first}")
    report(task, times)
    if given.busy:
        report_busy(times, busy, given.threads)


if __name__ == "__main__":
    main()
