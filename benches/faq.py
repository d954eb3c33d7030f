"""How well lay questions find the entry of a FAQ: python3 benches/faq.py [MAILSORT] [--model MODEL]... [--instruct TEXT]

benches/faq/en.jsonl and zh.jsonl have 200 entries each, `question` and `answer`, with five `wordings` as customers type them, and
five `hard` ones by people who avoid the words of the entry. They were written by hand, each without a look at the other, and no
setting of mailsort was chosen by them. Each wording is asked; the entry that it belongs to is the only right one. Printed are the
shares of wordings whose entry comes first, and among the first three: by words, by vectors and by both, with entries indexed as
question and answer, as question only, or as one text, and with the instruction for models that read one.
"""

import argparse
import json
import pathlib
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
INSTRUCT = "Given a question of a customer in everyday words, retrieve the entry of the FAQ that answers it"
ENTRIES = {
    "question and answer": lambda row: {"id": row["id"], "question": row["question"], "answer": row["answer"]},
    "question only": lambda row: {"id": row["id"], "text": row["question"]},
    "as one text": lambda row: {"id": row["id"], "text": f"{row['question']}\n{row['answer']}"},
}


def lines(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", nargs="?", default=str(ROOT / "target/release/mailsort"))
    parser.add_argument("--model", action="append", help="builtin and deep unless given")
    parser.add_argument("--instruct", default=INSTRUCT)
    given = parser.parse_args()
    program = str(pathlib.Path(given.program).resolve())
    print(f"{'set':8} {'model':10} {'entries':20} {'by':18} {'first':>6} {'in 3':>6}")
    for name in ("en", "zh"):
        rows = [json.loads(line) for line in open(ROOT / f"benches/faq/{name}.jsonl", encoding="utf-8")]
        asked = {
            shown: [{"question": wording, "answers": [row["id"]]} for row in rows for wording in row[field]]
            for shown, field in ((name, "wordings"), (f"{name} hard", "hard"))
        }
        for model in given.model or ["builtin", "deep"]:
            for kind, entry in ENTRIES.items():
                with tempfile.TemporaryDirectory() as work:
                    measure(program, pathlib.Path(work), (model, kind), map(entry, rows), asked, given.instruct)


def measure(program, work, named, entries, asked, instruct):
    model, kind = named
    lines(work / "faq.jsonl", entries)
    subprocess.run([program, "index", "--quiet", "faq.jsonl", "--into", "kb.db", "--model", model], cwd=work, check=True)
    ways = {"words": ["--keyword"], "vectors": ["--semantic"], "both": [], "both, --instruct": ["--instruct", instruct]}
    for name, questions in asked.items():
        lines(work / "asked.jsonl", questions)
        for way, flags in ways.items():
            search = [program, "search", "kb.db", "--bench", "asked.jsonl", *flags]
            done = subprocess.run(search, cwd=work, capture_output=True, text=True)
            if done.returncode:
                shown = done.stderr.strip().splitlines()[-1]
            else:
                figures = [line.split()[-1] for line in done.stdout.splitlines()[2:4]]
                shown = " ".join(f"{float(figure):6.3f}" for figure in figures)
            print(f"{name:8} {model:10} {kind:20} {way:18} {shown}", flush=True)


main()
