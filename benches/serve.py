"""What `mailsort serve` does under load: python3 benches/serve.py [MAILSORT] [--texts FILE] [--infinity URL --minilm FOLDER]

Starts a server with the embedded model and prints
- a thousand requests at once: how many are lost, refused or differ from `mailsort classify`, and the most memory;
- documents a second of `/v1/classify` over keep-alive connections in batches of 64, beside `mailsort classify` on the same
  texts, both runs by turns;
- the median and the 95th percentile of single requests at half of that load.
FILE has JSON Lines with `text`; without it the mails of samples/ are repeated. With --infinity, the address of an
infinity-emb server with all-MiniLM-L6-v2, and the folder of the same weights, requests a second of `/embeddings` and of
`/v1/embeddings` with one text each are compared.
"""

import argparse
import asyncio
import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent
LABELS = ROOT / "labels/mail.txt"
BATCH = 64
CLIENTS = 4
ROUNDS = 5


def texts(path, program):
    """Texts of documents: those of a file, or those of samples/, repeated with a number."""
    if path:
        return [json.loads(line)["text"] for line in open(path, encoding="utf-8")]
    shown = subprocess.run([program, "show", "--quiet", str(ROOT / "samples")], capture_output=True, check=False).stdout
    bodies = [json.loads(line).get("body") for line in shown.splitlines()]
    bodies = [body for body in bodies if body]
    return [f"{body}\n{number}" for number in range(6400 // len(bodies) + 1) for body in bodies][:6400]


class Server:
    """A server on a free port."""

    def __init__(self, program, *flags):
        command = [program, "serve", "--listen", "127.0.0.1:0", *flags]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            found = re.search(r"listening on http://([0-9.]+):([0-9]+)", line)
            if found:
                self.host, self.port = found[1], int(found[2])
                threading.Thread(target=self.process.stderr.read, daemon=True).start()
                return
        sys.exit("the server does not listen")

    def memory(self):
        """The most memory that it has held, in MB."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024

    def end(self):
        self.process.terminate()
        self.process.wait()


def request(host, path, body, keep=True):
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return (head + ("" if keep else "Connection: close\r\n") + "\r\n").encode() + body


async def answer(reader):
    """Status and body of an answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(re.search(rb"content-length: (\d+)", head, re.I)[1])
    return int(head[9:12]), await reader.readexactly(length)


async def at_once(server, bodies):
    """Sends all at once, each on a connection of its own; `None` for one that is lost."""

    async def one(body):
        try:
            reader, writer = await asyncio.open_connection(server.host, server.port)
            writer.write(request(server.host, "/v1/classify", body, keep=False))
            await writer.drain()
            found = await answer(reader)
            writer.close()
            return found
        except (OSError, asyncio.IncompleteReadError):
            return None

    return await asyncio.gather(*(one(body) for body in bodies))


class Client(asyncio.Protocol):
    """A client on a connection that stays open. It does as little as it can, as it runs beside the server that is measured."""

    def __init__(self, waiting, took, pause, done):
        self.waiting, self.took, self.pause, self.done = waiting, took, pause, done
        self.parts, self.missing = [], None

    def connection_made(self, transport):
        self.transport = transport
        self.next()

    def next(self):
        if self.waiting:
            self.begun = time.perf_counter()
            self.transport.write(self.waiting.pop())
        else:
            self.transport.close()

    def data_received(self, data):
        self.parts.append(data)
        if self.missing is None:
            begun = b"".join(self.parts)
            end = begun.find(b"\r\n\r\n")
            if end < 0:
                return
            if begun[9:12] != b"200":
                sys.exit(f"the status is {begun[9:12].decode()}")
            self.missing = int(re.search(rb"content-length: (\d+)", begun[:end], re.I)[1]) + end + 4 - len(begun)
        else:
            self.missing -= len(data)
        if self.missing > 0:
            return
        self.parts, self.missing = [], None
        self.took.append(time.perf_counter() - self.begun)
        if self.pause:
            asyncio.get_running_loop().call_later(max(0.0, self.pause - self.took[-1]), self.next)
        else:
            self.next()

    def connection_lost(self, error):
        self.done.set_result(error)


async def keep_alive(host, port, path, bodies, clients, pause=0.0):
    """Sends bodies over some connections that stay open; returns the seconds of each request, in all and one by one."""
    waiting = [request(host, path, body) for body in reversed(bodies)]
    took = []
    loop = asyncio.get_running_loop()
    ends = [loop.create_future() for _ in range(clients)]
    begun = time.perf_counter()
    for end in ends:
        await loop.create_connection(lambda end=end: Client(waiting, took, pause, end), host, port)
    await asyncio.gather(*ends)
    seconds = time.perf_counter() - begun
    if len(took) < len(bodies):
        sys.exit(f"{len(bodies) - len(took)} requests have no answer")
    return seconds, took


def classified(program, found):
    """The labels of each text by `classify`, and documents a second without starting."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "texts.jsonl"
        path.write_text("".join(json.dumps({"text": text}) + "\n" for text in found), encoding="utf-8")
        command = [program, "classify", "--verbose", "--labels", str(LABELS), str(path)]
        ran = subprocess.run(command, capture_output=True, check=True)
    speed = float(re.search(rb"(\d+) documents/s", ran.stderr)[1])
    return [json.loads(line)["labels"] for line in ran.stdout.splitlines()], speed


def thousand(program, found):
    server = Server(program, "--labels", str(LABELS))
    found = (found * (1000 // len(found) + 1))[:1000]
    expected, _ = classified(program, found)
    before = server.memory()
    answers = asyncio.run(at_once(server, [json.dumps({"text": text}).encode() for text in found]))
    lost = sum(one is None for one in answers)
    refused = sum(one is not None and one[0] == 429 for one in answers)
    wrong = sum(
        one is not None and one[0] == 200 and json.loads(one[1])["labels"] != labels for one, labels in zip(answers, expected)
    )
    others = sum(one is not None and one[0] not in (200, 429) for one in answers)
    print(f"1000 at once: {lost} lost, {refused} refused, {others} failed, {wrong} wrong; {before:.0f} MB before, {server.memory():.0f} MB at most")
    server.end()


def speed(program, found):
    server = Server(program, "--labels", str(LABELS))
    batches = [found[at : at + BATCH] for at in range(0, len(found), BATCH)]
    bodies = [json.dumps({"documents": batch}).encode() for batch in batches]
    served, alone = [], []
    for _ in range(ROUNDS):
        seconds, _ = asyncio.run(keep_alive(server.host, server.port, "/v1/classify", bodies, CLIENTS))
        served.append(len(found) / seconds)
        alone.append(classified(program, found)[1])
    served, alone = statistics.median(served), statistics.median(alone)
    print(f"batches of {BATCH}: {served:.0f} documents/s; classify: {alone:.0f}; {100 * served / alone:.0f} %")
    singles = [json.dumps({"text": text}).encode() for text in found[:2000]]
    seconds, _ = asyncio.run(keep_alive(server.host, server.port, "/v1/classify", singles, CLIENTS))
    most = len(singles) / seconds
    _, took = asyncio.run(keep_alive(server.host, server.port, "/v1/classify", singles, CLIENTS, 2 * CLIENTS / most))
    took = sorted(1000 * one for one in took)
    print(f"single requests: {most:.0f}/s at most; at half of that median {statistics.median(took):.1f} ms, P95 {took[int(0.95 * len(took))]:.1f} ms")
    server.end()


def beside_infinity(program, url, folder, found):
    server = Server(program, "--model", folder)
    other = urllib.parse.urlparse(url)
    bodies = [json.dumps({"input": [text], "model": "", "encoding_format": "float"}).encode() for text in found[:400]]
    named = [json.dumps({"input": [text], "model": "minilm", "encoding_format": "float"}).encode() for text in found[:400]]
    ours, theirs = [], []
    for _ in range(ROUNDS):
        seconds, _ = asyncio.run(keep_alive(server.host, server.port, "/v1/embeddings", bodies, 16))
        ours.append(len(bodies) / seconds)
        seconds, _ = asyncio.run(keep_alive(other.hostname, other.port, other.path or "/embeddings", named, 16))
        theirs.append(len(named) / seconds)
    ours, theirs = statistics.median(ours), statistics.median(theirs)
    print(f"embeddings of all-MiniLM-L6-v2, one text a request, 16 clients: {ours:.0f} requests/s; infinity-emb {theirs:.0f}; {ours / theirs:.1f} times")
    server.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", nargs="?", default=str(ROOT / "target/release/mailsort"))
    parser.add_argument("--texts")
    parser.add_argument("--infinity")
    parser.add_argument("--minilm")
    given = parser.parse_args()
    found = texts(given.texts, given.program)
    thousand(given.program, found)
    speed(given.program, found)
    if given.infinity:
        beside_infinity(given.program, given.infinity, given.minilm, found)


main()
