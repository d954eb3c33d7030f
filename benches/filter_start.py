"""How long `mailsort filter` takes for one mail, from start to end: python3 benches/filter_start.py [MAILSORT]

A filter is a process for every mail, so what counts is its cold start: with the embedded model, and as a client of a server
that has loaded it. Prints the median, the 95th percentile and the best of 200 runs in milliseconds, beside those of `true`,
which is what a process costs here at least.
"""

import pathlib
import statistics
import subprocess
import sys
import tempfile
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
    labels = ["--labels", str(ROOT / "labels/mail.txt")]
    with tempfile.TemporaryDirectory() as folder:
        socket = f"{folder}/mailsort.sock"
        server = subprocess.Popen([program, "serve", "--quiet", "--socket", socket, *labels])
        while not pathlib.Path(socket).exists():
            time.sleep(0.01)
        asking = [program, "filter", "--socket", socket]
        for name, command in (("true", ["true"]), ("filter", [program, "filter", *labels]), ("filter --socket", asking)):
            found = times(command, mail)
            tail = f"p95 {found[int(0.95 * RUNS)]:6.1f} ms   best {found[0]:6.1f} ms"
            print(f"{name:16} median {statistics.median(found):6.1f} ms   {tail}")
        server.terminate()
        server.wait()


main()
