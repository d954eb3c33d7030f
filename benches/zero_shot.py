#!/usr/bin/env python3
"""Zero-shot accuracy by the bare names of the labels: `mailsort eval` on labelled sets, for several models in one run.

usage: zero_shot.py FOLDER [--mailsort PATH] [--models NAME[:all]...] [--rows 400] [--sets NAME...]

FOLDER holds sets as JSON Lines with `text`, `label`, and where there are splits `split` and `lang`; a language is a set of its
own. Of each the rows of the split that no model has learned from are taken, at most so many, evenly from all over it.
`deep:all` is `--model deep --deep all`. Prints accuracy, calibration error and messages a second."""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
# The split that is measured; all rows of other sets.
MEASURED = {'banking77': 'test', 'clinc150': 'test', 'trec': 'test', 'bitext_customer_service': 'test',
            'sib200_train_dev': 'dev', 'tnews_train_dev': 'dev'}
EUROPEAN = 'de fr es pt it nl ru'.split()


def sets(folder):
    """name -> rows of text and label."""
    out = {}
    for file in sorted(folder.glob('*.jsonl')):
        for row in map(json.loads, open(file, encoding='utf-8')):
            if row.get('split', MEASURED.get(file.stem)) == MEASURED.get(file.stem, row.get('split')) and row['label'] != 'oos':
                name = f"sib200-{row['lang']}" if file.stem.startswith('sib200') else file.stem.split('_')[0]
                out.setdefault(name, []).append({'text': row['text'], 'label': row['label'].replace('_', ' ')})
    return out


def group(name):
    language = name.rsplit('-', 1)[1] if name.startswith('sib200') else 'zh' if name in ('tnews', 'thucnews') else 'en'
    return 'eu' if language in EUROPEAN else 'ja, ar' if language in ('ja', 'ar') else language


def evaluated(given, model, rows):
    """Accuracy and calibration error in per cent, and seconds."""
    name, *how = model.split(':')
    with tempfile.TemporaryDirectory(prefix='mailsort-zero-shot-') as work:
        samples = pathlib.Path(work, 'samples.jsonl')
        samples.write_text(''.join(json.dumps(row) + '\n' for row in rows), encoding='utf-8')
        command = [given.mailsort, 'eval', samples, '--format', 'json', '--model', name]
        started = time.perf_counter()
        ran = subprocess.run([*command, *(['--deep', *how] if how else [])], capture_output=True, text=True)
        if ran.returncode != 0:
            sys.exit(f'mailsort eval ended with status {ran.returncode}: {ran.stderr}')
        report = json.loads(ran.stdout)
        return 100 * report['accuracy'], 100 * report['ece'], time.perf_counter() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=pathlib.Path)
    parser.add_argument('--mailsort', type=pathlib.Path, default=ROOT / 'target/release/mailsort')
    parser.add_argument('--models', nargs='+', default=['builtin', 'deep', 'deep:all'])
    parser.add_argument('--rows', type=int, default=400)
    parser.add_argument('--sets', nargs='+')
    given = parser.parse_args()
    found, groups = {}, {}
    print(f"{'set':<16}{'rows':>6}" + ''.join(f'{model:>12}{"ECE":>6}{"/s":>7}' for model in given.models))
    for name, rows in sets(given.folder).items():
        if given.sets and name not in given.sets:
            continue
        rows = [rows[at * len(rows) // min(given.rows, len(rows))] for at in range(min(given.rows, len(rows)))]
        line = f'{name:<16}{len(rows):>6}'
        for model in given.models:
            accuracy, ece, seconds = evaluated(given, model, rows)
            found.setdefault(model, {})[name] = accuracy
            groups.setdefault(group(name), set()).add(name)
            line += f'{accuracy:>12.1f}{ece:>6.1f}{len(rows) / seconds:>7.0f}'
        print(line, flush=True)
    for key, names in groups.items():
        mean = lambda model: sum(found[model][name] for name in names) / len(names)
        print(f'mean {key:<11}{len(names):>6}' + ''.join(f'{mean(model):>12.1f}{"":>13}' for model in given.models))


if __name__ == '__main__':
    main()
