"""Serves mails by POP3 on loopback to anybody: pop3.py PORT_FILE MAIL..."""

import pathlib
import socketserver
import sys

MAILS = [pathlib.Path(name).read_bytes().replace(b"\n", b"\r\n") for name in sys.argv[2:]]


class Session(socketserver.StreamRequestHandler):
    """One client; only the commands that getmail needs."""

    def handle(self):
        self.say("+OK ready")
        for line in self.rfile:
            word, *rest = line.decode("ascii", "replace").split() or [""]
            at = int(rest[0]) - 1 if rest and rest[0].isdigit() else None
            if not self.answer(word.upper(), at):
                return

    def answer(self, word, at):
        if word in ("USER", "PASS", "NOOP", "RSET", "DELE"):
            self.say("+OK")
        elif word == "STAT":
            self.say(f"+OK {len(MAILS)} {sum(map(len, MAILS))}")
        elif word in ("LIST", "UIDL"):
            value = (lambda n: len(MAILS[n])) if word == "LIST" else (lambda n: f"id{n}")
            if at is None:
                self.say("+OK", *(f"{n + 1} {value(n)}" for n in range(len(MAILS))), ".")
            else:
                self.say(f"+OK {at + 1} {value(at)}")
        elif word in ("RETR", "TOP"):
            self.say("+OK")
            self.wfile.write(MAILS[at] + b".\r\n")
        elif word == "QUIT":
            self.say("+OK")
            return False
        else:
            self.say("-ERR unknown")
        return True

    def say(self, *lines):
        self.wfile.write("".join(line + "\r\n" for line in lines).encode())


with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session) as server:
    # The name appears with its content.
    written = pathlib.Path(sys.argv[1] + ".new")
    written.write_text(str(server.server_address[1]))
    written.rename(sys.argv[1])
    server.serve_forever()
