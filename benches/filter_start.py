"""How long `mailsort filter` takes for one mail, from start to end: python3 benches/filter_start.py [MAILSORT]

A filter is a process for every mail, so what counts is its cold start with the embedded model. Prints the median, the 95th
percentile and the best of 200 runs in milliseconds, beside those of `true`, which is what a process costs here at least.
"""

import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
RUNS = 200


def times(command, mail):
    """Milliseconds of each run, without the first."""
    found = []
    for _ in range(RUNS + 1):
        begun = time.perf_counter()
        subprocess.run(command, input=mail, stdout=subprocess.DEVNULL, check=True)
        found.append((time.perf_counter() - begun) * 1000)
    return sorted(found[1:])


def main():
    program = sys.argv[1] if len(sys.argv) > 1 else str(ROOT / "target/release/mailsort")
    mail = (ROOT / "samples/files/order.eml").read_bytes()
    filtering = [program, "filter", "--labels", str(ROOT / "labels/mail.txt")]
    for name, command in (("true", ["true"]), ("filter", filtering)):
        found = times(command, mail)
        print(f"{name:8} median {statistics.median(found):6.1f} ms   p95 {found[int(0.95 * RUNS)]:6.1f} ms   best {found[0]:6.1f} ms")


main()
