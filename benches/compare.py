#!/usr/bin/env python3
"""Speed and memory of `mailsort classify` beside bogofilter, on mixed mail, in one run.

    python3 benches/compare.py [FOLDER] [--sizes 1000 10000 100000] [--runs 3] [--starts 50] [--mailsort BINARY]
                               [--before BINARY]

FOLDER (default: ../shared/data/mail beside the checkout) holds mail: files of one mail each, or mbox files. Its mails
are written to mbox archives of the given sizes, interleaved by sub-folder and repeated as often as needed, always in
the same order. bogofilter learns from FOLDER/easy_ham and FOLDER/spam first, or from every other mail where there are
no such folders. Then both sort every archive, in turn, `--runs` times; both write their records to a file.
`--before` names the mailsort of an earlier version, which takes the place of bogofilter.

Wall time depends on what else the machine does, CPU time (user and system) hardly. Both are printed, and so is the
peak of resident memory. Only Python's standard library is needed, and `bogofilter` on the path; on Debian and Ubuntu:
apt-get install bogofilter.
"""

import argparse
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LABELS = ROOT / "labels" / "mail.txt"
# What is left of FOLDER for mixed archives; other sub-folders hold broken mail on purpose.
MIXED = ["easy_ham", "hard_ham", "spam", "newsgroups", "lists"]
TRAINED = 300
# How a mail begins: with a header field, or an old envelope that was quoted as one.
FIELD = re.compile(rb">From |[!-9;-~]+[ \t]*:")
# A `From ` line at the start or below a blank line, and above a header field.
SEPARATORS = re.compile(rb"(?:\A|(?<=\n\n)|(?<=\n\r\n))From .*\n(?=%s)" % FIELD.pattern)
SEPARATOR = b"From mailsort@example.org Sat Jan  1 00:00:00 2000\n"


# Archives


def mails_of(path):
    """The mails of one file, without what an mbox adds to them; none of a file that is no mail."""
    data = path.read_bytes()
    if not data.startswith(b"From "):
        return [data] if FIELD.match(data) else []
    return [mail for mail in SEPARATORS.split(data) if FIELD.match(mail)]


def framed(mail):
    """A mail as it stands in an mbox."""
    lines = [b">" + line if line.startswith(b"From ") else line for line in mail.splitlines(keepends=True)]
    text = b"".join(lines)
    return SEPARATOR + text + (b"\n" if text.endswith(b"\n") else b"\n\n")


def interleaved(folder):
    """All mails below `folder`, those of each sub-folder spread evenly over the whole."""
    groups = [folder / name for name in MIXED if (folder / name).is_dir()] or [folder]
    placed = []
    for group in groups:
        files = sorted(path for path in group.rglob("*") if path.is_file())
        mails = [mail for path in files for mail in mails_of(path)]
        placed += [((at + 0.5) / len(mails), group.name, mail) for at, mail in enumerate(mails)]
    placed.sort(key=lambda entry: entry[:2])
    return [mail for _, _, mail in placed]


def build(folder, work, sizes):
    """Writes the archives, one mail alone and what bogofilter learns from. Returns how many mails differ."""
    mails = interleaved(folder)
    if not mails:
        sys.exit(f"{folder} holds no mail; name a folder of mails or mbox files")
    texts = [framed(mail) for mail in mails]
    for size in sizes:
        with open(work / f"{size}.mbox", "wb") as out:
            for at in range(size):
                out.write(texts[at % len(texts)])
    # Of the middle size, so that it stands for the others.
    (work / "one.eml").write_bytes(sorted(mails, key=lambda mail: (len(mail), mail))[len(mails) // 2])
    for kind, name, rest in (("ham", "easy_ham", 0), ("spam", "spam", 1)):
        known = sorted((folder / name).glob("*"))[:TRAINED]
        learned = [framed(mail) for path in known for mail in mails_of(path)] or texts[rest : 2 * TRAINED : 2]
        (work / f"{kind}.mbox").write_bytes(b"".join(learned))
    return len(mails)


def build_apart(folder, work, sizes):
    """Builds in a process of its own: the peak memory of a child is at least that of the parent that starts it."""
    if (child := os.fork()) == 0:
        (work / "count").write_text(str(build(folder, work, sizes)))
        os._exit(0)
    if os.waitpid(child, 0)[1] != 0:
        sys.exit(1)
    return int((work / "count").read_text())


# Measuring


def megabytes(usage):
    """The peak of resident memory, which macOS counts in bytes and others in KiB."""
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


class Cost:
    """What one process took: seconds, CPU seconds, peak memory in MB, page faults that had to read a disk."""

    def __init__(self, command, output):
        with open(output, "wb") as out:
            start = time.perf_counter()
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out)
            _, status, usage = os.wait4(process.pid, 0)
            self.wall = time.perf_counter() - start
        # Both use 0 to 2 for answers; mailsort's 1 is a mail without text.
        process.returncode = os.waitstatus_to_exitcode(status)
        if not 0 <= process.returncode <= 2:
            sys.exit(f"{' '.join(map(str, command))} ended with status {process.returncode}")
        self.cpu = usage.ru_utime + usage.ru_stime
        self.memory = megabytes(usage)
        self.disk = usage.ru_majflt


def in_turn(tools, rounds, output, prepare=lambda: None, check=lambda name: None):
    """Runs all tools one after the other, `rounds` times over, so that a busy minute hits them all."""
    costs = {name: [] for name in tools}
    for _ in range(rounds):
        for name, command in tools.items():
            prepare()
            costs[name].append(Cost(command, output))
            check(name)
    return costs


def warm(path):
    """Brings a file into the page cache."""
    with open(path, "rb") as file:
        while file.read(1 << 20):
            pass


def evict(paths):
    """Drops files from the page cache, as far as the system lets a user do that."""
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


# Tools


def mailsort_binary(given):
    """The release build of this checkout, or the binary that was named."""
    if given:
        return given.resolve()
    subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=ROOT, check=True)
    told = subprocess.check_output(["cargo", "metadata", "--format-version", "1", "--no-deps"], cwd=ROOT)
    return Path(json.loads(told)["target_directory"]) / "release" / "mailsort"


def mailsort(binary, mbox, threads):
    return [binary, "classify", mbox, "--labels", LABELS, "--quiet", "--threads", str(threads)]


def bogofilter(words, *arguments):
    # No configuration files, and no transactions, which who only reads does not need.
    return ["bogofilter", "-C", "-d", words, "--db-transaction=no", *arguments]


def train(work):
    """Teaches bogofilter and returns the folder of its word list."""
    words = work / "words"
    words.mkdir()
    for flag, kind in (("-n", "ham"), ("-s", "spam")):
        subprocess.run(bogofilter(words, flag, "-M", "-I", work / f"{kind}.mbox"), check=True)
    return words


# The report


def compare(work, binary, before, words, size, runs):
    mbox, output = work / f"{size}.mbox", work / "output"
    tools = {"mailsort --threads 1": mailsort(binary, mbox, 1), "mailsort --threads 2": mailsort(binary, mbox, 2)}
    if before:
        rivals = {f"{who} --threads {n}": f"before --threads {n}" for n in (1, 2) for who in ("mailsort", "before")}
        tools |= {f"before --threads {n}": mailsort(before, mbox, n) for n in (1, 2)}
    else:
        tools["bogofilter -M -T"] = bogofilter(words, "-M", "-T", "-I", mbox)
        rivals = dict.fromkeys(tools, "bogofilter -M -T")

    def counted(name):
        with open(output, "rb") as out:
            records = sum(1 for _ in out)
        if records != size:
            sys.exit(f"{name} wrote {records} records for the {size} mails of {mbox}")

    warm(mbox)
    costs = in_turn(tools, runs, output, check=counted)
    best = lambda costs, field: min(getattr(cost, field) for cost in costs)
    middle = lambda costs, field: statistics.median(getattr(cost, field) for cost in costs)
    for name, own in costs.items():
        rival = costs[rivals[name]]
        print(
            f"{size:>7} {name:<21}{size / best(own, 'wall'):>9.0f}{size / middle(own, 'wall'):>9.0f}"
            f"{size / best(own, 'cpu'):>11.0f}{size / middle(own, 'cpu'):>9.0f}{max(c.memory for c in own):>9.1f}"
            f"{best(rival, 'wall') / best(own, 'wall'):>8.2f}{best(rival, 'cpu') / best(own, 'cpu'):>7.2f}",
            flush=True,
        )


def cold_start(work, binary, before, words, starts):
    one, output = work / "one.eml", work / "output"
    tools, read = {"mailsort": mailsort(binary, one, 1)}, [binary, LABELS, one]
    if before:
        tools["before"] = mailsort(before, one, 1)
        read.append(before)
    else:
        tools["bogofilter"] = bogofilter(words, "-T", "-I", one)
        read += [shutil.which("bogofilter"), *words.iterdir()]
    for state, prepare, rounds in (("cached", lambda: None, starts), ("evicted", lambda: evict(read), starts // 5)):
        for name, costs in in_turn(tools, max(rounds, 3), output, prepare).items():
            wall, cpu = ([getattr(cost, field) * 1000 for cost in costs] for field in ("wall", "cpu"))
            print(
                f"{state:<9}{name:<12}{min(wall):>8.1f}{statistics.median(wall):>9.1f}{min(cpu):>11.1f}"
                f"{statistics.median(cpu):>9.1f}{max(cost.memory for cost in costs):>9.1f}"
                f"{statistics.median(cost.disk for cost in costs):>9.0f}"
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT.parent / "shared" / "data" / "mail")
    parser.add_argument("--sizes", nargs="+", type=int, default=[1000, 10_000, 100_000])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--starts", type=int, default=50)
    parser.add_argument("--mailsort", type=Path, metavar="BINARY")
    parser.add_argument("--before", type=Path, metavar="BINARY")
    arguments = parser.parse_args()
    if not arguments.folder.is_dir():
        sys.exit(f"there is no folder {arguments.folder}; name a folder of mails or mbox files")
    if not arguments.before and not shutil.which("bogofilter"):
        sys.exit(
            "bogofilter is not installed; on Debian and Ubuntu: apt-get install bogofilter. "
            "--before BINARY compares with an earlier version instead"
        )
    before = arguments.before and arguments.before.resolve()
    if before and not before.is_file():
        sys.exit(f"there is no file {before}; build an earlier version and name its binary")
    binary = mailsort_binary(arguments.mailsort)
    if before == binary:
        sys.exit(f"{binary} is the version to compare; name the binary of an earlier one with --before")
    with tempfile.TemporaryDirectory(prefix="mailsort-compare-") as folder:
        work = Path(folder)
        count = build_apart(arguments.folder, work, arguments.sizes)
        largest = max(arguments.sizes)
        bytes_each = (work / f"{largest}.mbox").stat().st_size / largest
        print(f"{count} different mails of {bytes_each:.0f} bytes on average; {os.cpu_count()} CPUs")
        own = megabytes(resource.getrusage(resource.RUSAGE_SELF))
        print(f"peaks below {own:.0f} MB cannot be told: that is the process that starts the others", flush=True)
        words = None if before else train(work)
        rival = "before" if before else "bogofilter"
        print(f"\n                                  mails/s            mails/CPU s     peak     times {rival}")
        print("  mails                          best   median       best   median       MB    wall    CPU")
        for size in arguments.sizes:
            compare(work, binary, before, words, size, arguments.runs)
        print("\none mail                     ms               CPU ms         peak     disk")
        print("                     best   median       best   median       MB    reads")
        cold_start(work, binary, before, words, arguments.starts)


if __name__ == "__main__":
    main()
