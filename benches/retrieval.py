"""How well `mailsort search` finds passages: python3 benches/retrieval.py FOLDER [MAILSORT] [--model MODEL]

FOLDER has NAME.passages.jsonl.xz with `id` and `text` and NAME.questions.jsonl.xz with `question` and `answers`. For each NAME the
passages are indexed, with the time and the size beside the text, and the questions are asked by words, by vectors, and by both.
"""

import argparse
import lzma
import pathlib
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("program", nargs="?", default=str(ROOT / "target/release/mailsort"))
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--only", action="append")
    given = parser.parse_args()
    print(f"{'set':16} {'by':9} {'R@1':>6} {'in 3':>6} {'R@10':>6} {'R@50':>6} {'MRR':>6} {'nDCG':>6} {'ms':>6}")
    for packed in sorted(given.folder.glob("*.passages.jsonl.xz")):
        name = packed.name.removesuffix(".passages.jsonl.xz")
        if given.only and name not in given.only:
            continue
        with tempfile.TemporaryDirectory() as work:
            measure(given, name, pathlib.Path(work))


def measure(given, name, work):
    for kind in ("passages", "questions"):
        (work / f"{kind}.jsonl").write_bytes(lzma.open(given.folder / f"{name}.{kind}.jsonl.xz").read())
    begun = time.perf_counter()
    index = [given.program, "index", "--quiet", "passages.jsonl", "--into", "kb.db", "--model", given.model]
    subprocess.run(index, cwd=work, check=True)
    took = time.perf_counter() - begun
    count = (work / "passages.jsonl").read_bytes().count(b"\n")
    share = (work / "kb.db").stat().st_size / (work / "passages.jsonl").stat().st_size
    for way, flags in (("words", ["--keyword"]), ("vectors", ["--semantic"]), ("both", [])):
        search = [given.program, "search", "kb.db", "--bench", "questions.jsonl", *flags]
        lines = subprocess.run(search, cwd=work, check=True, capture_output=True, text=True).stdout.splitlines()
        figures = [float(line.split()[-1]) for line in lines[2:]]
        shown = " ".join(f"{figure:6.3f}" for figure in figures[:-1])
        print(f"{name:16} {way:9} {shown} {figures[-1]:6.1f}", flush=True)
    print(f"{name:16} {count} passages, {count / took:.0f} a second; the file is {share:.2f} times the input", flush=True)


main()
