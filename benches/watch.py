"""How soon `mailsort watch` has sorted a mail, and a burst of them: python3 benches/watch.py [MAILSORT] [BURST]

A mail is delivered into a maildir by a rename, as mail servers do, and is sorted once it stands in its folder. Prints the
median, the 95th percentile and the longest of 200 mails that come one by one in milliseconds, as many of a mail that comes by
a link, and how long a burst (10000 mails if none is given) takes from its first mail to its last. Every mail of the burst is
looked for in its folder, with its bytes.
"""

import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
MAILS = 200
RULES = 'labels = "labels.txt"\non-unsure = { folder = "Sorted" }\n' + "".join(
    f'[[rule]]\nlabel = "{label}"\nfolder = "Sorted"\n' for label in ("invoice", "meeting")
)
LABELS = "invoice: a bill, please pay the amount due\nmeeting: let us meet and talk, agenda\n"


def text(number):
    words = "Please pay the bill." if number % 2 else "Let us meet and talk."
    return f"Message-ID: <{number}@example.org>\nSubject: number {number}\n\n{words}\n".encode()


def deliver(maildir, number, by=os.rename):
    """When the mail was there."""
    waiting = maildir / "tmp" / f"{number}.bench"
    waiting.write_bytes(text(number))
    begun = time.perf_counter()
    by(waiting, maildir / "new" / waiting.name)
    return begun


def sorted_at(maildir, number):
    path = str(maildir / ".Sorted" / "new" / f"{number}.bench")
    while not os.path.exists(path):
        time.sleep(0.0001)
    return time.perf_counter()


def one_by_one(maildir, first, by):
    found = []
    for number in range(first, first + MAILS):
        begun = deliver(maildir, number, by)
        found.append((sorted_at(maildir, number) - begun) * 1000)
        time.sleep(0.01)
    return sorted(found)


def main():
    program = sys.argv[1] if len(sys.argv) > 1 else str(ROOT / "target/release/mailsort")
    burst = int(sys.argv[2]) if len(sys.argv) > 2 else 10000
    with tempfile.TemporaryDirectory() as home:
        home = pathlib.Path(home)
        maildir = home / "Maildir"
        for own in ("cur", "new", "tmp"):
            (maildir / own).mkdir(parents=True)
        (home / "labels.txt").write_text(LABELS)
        (home / "rules.toml").write_text(RULES)
        ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        ready.bind(str(home / "ready"))
        command = [program, "watch", str(maildir), "--rules", str(home / "rules.toml"), "--quiet"]
        watching = subprocess.Popen(command, env={**os.environ, "NOTIFY_SOCKET": str(home / "ready")})
        try:
            ready.recv(16)
            for name, first, by in (("rename", 0, os.rename), ("link", MAILS, os.link)):
                found = one_by_one(maildir, first, by)
                p95 = found[int(0.95 * MAILS)]
                print(f"{name:7} median {statistics.median(found):6.1f} ms   p95 {p95:6.1f} ms   longest {found[-1]:6.1f} ms")
            numbers = range(2 * MAILS, 2 * MAILS + burst)
            begun = [deliver(maildir, number) for number in numbers][0]
            delivered = time.perf_counter() - begun
            folder = maildir / ".Sorted" / "new"
            while len(os.listdir(folder)) < 2 * MAILS + burst:
                time.sleep(0.01)
            taken = time.perf_counter() - begun
            missed = [number for number in numbers if (folder / f"{number}.bench").read_bytes() != text(number)]
            print(f"burst   {burst} mails delivered in {delivered:.1f} s, sorted in {taken:.1f} s, {len(missed)} missed or changed")
        finally:
            watching.terminate()
            watching.wait()


main()
