#!/usr/bin/env python3
"""disk.py -- a disk for a virtual machine that loses, when the power fails, what was not flushed; and writes down everything.

usage: disk.py -s SOCKET -i IMAGE -l LOG [-f BYTES] [-H MICROSECONDS] [-S SEED] [-e KIND:N[:COUNT]]
  -s  Unix socket on which it speaks NBD. Export "disk" is IMAGE; export "facts" is a small disk for the workload's facts.
      QEMU:  -drive file=nbd+unix:///disk?socket=SOCKET,format=raw,if=none,id=d0 -device virtio-blk-pci,drive=d0
  -i  the contents at the start; the file is never changed
  -l  the log: everything that arrived and that was answered, in that order. The same loop serves both exports, so a fact
      stands in it exactly where it was told.
  -f  size of the facts' disk (1 MiB)
  -H  how long a write or flush is held back before it is answered, if nothing else comes (200): what a driver sends
      meanwhile did not wait for it. Answers then come in random order (-S).
  -e  the Nth request of that kind (read, write, flush, counted from 1), and COUNT - 1 after it, fail with EIO
It says "ready" once it listens, and ends when its last client has left, or on SIGTERM; the log is complete then.

The log: 24 bytes a record, little-endian: kind (1), 3 zero bytes, length (4), offset (8), number (8); after W and A come
`length` bytes. W a write arrived, C it was answered, F a flush arrived, D it was answered, X request `number` was answered
with an error, A a fact arrived. A flush makes durable what was answered before it arrived.
"""
import argparse, os, random, select, signal, socket, struct, sys, time

NBD_MAGIC, OPT_MAGIC, REP_MAGIC = 0x4E42444D41474943, 0x49484156454F5054, 0x3E889045565A9
REQUEST, REPLY = 0x25609513, 0x67446698
OPT_EXPORT_NAME, OPT_ABORT, OPT_LIST, OPT_INFO, OPT_GO = 1, 2, 3, 6, 7
REP_ACK, REP_INFO, REP_ERR_UNSUP, REP_ERR_UNKNOWN = 1, 3, 0x80000001, 0x80000006
READ, WRITE, DISC, FLUSH = 0, 1, 2, 3
EIO, EINVAL = 5, 22
FLAGS = 1 | 4  # has flags, knows flush. Neither FUA nor several connections.
SECTOR = 512
PATIENCE = 4  # times -H that a request waits at most while others come


class Gone(Exception):
    pass


class Log:
    def __init__(self, path):
        self.file = open(path, "wb", buffering=1 << 20)

    def put(self, kind, number=0, off=0, data=b"", length=None):
        self.file.write(struct.pack("<c3xIQQ", kind, len(data) if length is None else length, off, number) + data)


class Export:
    def __init__(self, name, data, log):
        self.name, self.data, self.log = name, data, log


class Failures:
    """Which requests fail."""
    def __init__(self, words):
        self.count = {READ: 0, WRITE: 0, FLUSH: 0}
        self.span = {}
        for w in words:
            kind, first, *more = w.split(":")
            self.span[{"read": READ, "write": WRITE, "flush": FLUSH}[kind]] = (int(first), int(first) + int((more or ["1"])[0]))

    def hits(self, kind):
        self.count[kind] += 1
        lo, hi = self.span.get(kind, (0, 0))
        return lo <= self.count[kind] < hi


class Client:
    """One connection: handshake, then requests."""
    def __init__(self, sock, server):
        self.sock, self.server, self.export = sock, server, None
        self.pending, self.since = [], 0.0  # held back, and since when the first of them
        self.handshake()

    def take(self, n):
        parts = []
        while n > 0:
            p = self.sock.recv(n)
            if not p:
                raise Gone
            parts.append(p)
            n -= len(p)
        return b"".join(parts)

    def option_reply(self, opt, kind, data=b""):
        self.sock.sendall(struct.pack(">QIII", REP_MAGIC, opt, kind, len(data)) + data)

    def handshake(self):
        self.sock.sendall(struct.pack(">QQH", NBD_MAGIC, OPT_MAGIC, 1 | 2))
        self.no_zeroes = struct.unpack(">I", self.take(4))[0] & 2
        while self.export is None:
            magic, opt, n = struct.unpack(">QII", self.take(16))
            if magic != OPT_MAGIC or n > 65536:
                raise Gone
            self.option(opt, self.take(n))

    def option(self, opt, data):
        if opt == OPT_EXPORT_NAME:
            e = self.server.exports.get(data.decode(errors="replace"))
            if e is None:
                raise Gone
            self.sock.sendall(struct.pack(">QH", len(e.data), FLAGS) + (b"" if self.no_zeroes else bytes(124)))
            self.export = e
        elif opt in (OPT_GO, OPT_INFO):
            n = struct.unpack(">I", data[:4])[0]
            e = self.server.exports.get(data[4:4 + n].decode(errors="replace"))
            if e is None:
                return self.option_reply(opt, REP_ERR_UNKNOWN)
            self.option_reply(opt, REP_INFO, struct.pack(">HQH", 0, len(e.data), FLAGS))
            self.option_reply(opt, REP_INFO, struct.pack(">HIII", 3, SECTOR, 4096, 1 << 25))
            self.option_reply(opt, REP_ACK)
            if opt == OPT_GO:
                self.export = e
        elif opt == OPT_ABORT:
            self.option_reply(opt, REP_ACK)
            raise Gone
        else:
            self.option_reply(opt, REP_ERR_UNSUP)

    def answer(self, cookie, err=0, data=b""):
        self.sock.sendall(struct.pack(">IIQ", REPLY, err, cookie) + data)

    def request(self):
        magic, flags, kind, cookie, off, n = struct.unpack(">IHHQQI", self.take(28))
        data = self.take(n) if kind == WRITE else b""
        if magic != REQUEST or kind == DISC:
            raise Gone
        e = self.export
        if kind != FLUSH and off + n > len(e.data):
            return self.answer(cookie, EINVAL)
        if e.log is None:
            return self.fact(kind, cookie, off, n, data)
        if kind == READ:
            failed = self.server.failures.hits(READ)
            return self.answer(cookie, EIO) if failed else self.answer(cookie, 0, bytes(e.data[off:off + n]))
        if kind not in (WRITE, FLUSH):
            return self.answer(cookie, EINVAL)
        self.hold(kind, cookie, off, data)

    def fact(self, kind, cookie, off, n, data):
        e = self.export
        if kind == WRITE:
            e.data[off:off + n] = data
            self.server.log.put(b"A", off=off, data=data)
        self.answer(cookie, 0, bytes(e.data[off:off + n]) if kind == READ else b"")

    def hold(self, kind, cookie, off, data):
        """A write or flush arrived: it is answered later."""
        number = self.server.number
        self.server.number += 1
        failed = self.server.failures.hits(kind)
        if kind == WRITE:
            self.export.log.put(b"W", number, off, data)
            if not failed:
                self.export.data[off:off + len(data)] = data
        else:
            self.export.log.put(b"F", number)
        if not self.pending:
            self.since = time.monotonic()
        self.pending.append((kind, cookie, number, failed))

    def release(self, rng):
        self.since = time.monotonic()
        kind, cookie, number, failed = self.pending.pop(rng.randrange(len(self.pending)))
        self.export.log.put(b"X" if failed else b"C" if kind == WRITE else b"D", number)
        self.answer(cookie, EIO if failed else 0)


class Server:
    def __init__(self, args):
        self.log = Log(args.l)
        self.failures = Failures(args.e)
        self.number, self.hold, self.rng = 0, args.H / 1e6, random.Random(args.S)
        self.exports = {"disk": Export("disk", bytearray(open(args.i, "rb").read()), self.log),
                        "facts": Export("facts", bytearray(args.f), None)}
        self.listener = socket.socket(socket.AF_UNIX)
        if os.path.exists(args.s):
            os.unlink(args.s)
        self.listener.bind(args.s)
        self.listener.listen(4)
        self.clients = {}

    def drop(self, c):
        del self.clients[c.sock]
        c.sock.close()

    def ready(self, sock):
        if sock is self.listener:
            new = self.listener.accept()[0]
            try:
                self.clients[new] = Client(new, self)
            except (Gone, OSError):
                new.close()
            return
        c = self.clients[sock]
        try:
            c.request()
        except (Gone, OSError):
            self.drop(c)

    def run(self):
        seen = False
        while self.clients or not seen:
            held = [c for c in self.clients.values() if c.pending]
            socks = select.select([self.listener] + list(self.clients), [], [], self.hold if held else None)[0]
            for s in socks:
                if s is self.listener or s in self.clients:
                    self.ready(s)
            late = time.monotonic() - PATIENCE * self.hold
            for c in held:
                if c.sock in self.clients and c.pending and (not socks or c.since < late):
                    try:
                        c.release(self.rng)
                    except OSError:
                        self.drop(c)
            seen = seen or any(c.export for c in self.clients.values())


def main():
    ap = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1], add_help=False)
    ap.add_argument("-h", action="store_true")
    ap.add_argument("-s")
    ap.add_argument("-i")
    ap.add_argument("-l")
    ap.add_argument("-f", type=int, default=1 << 20)
    ap.add_argument("-H", type=float, default=200)
    ap.add_argument("-S", type=int, default=1)
    ap.add_argument("-e", action="append", default=[])
    args = ap.parse_args()
    if args.h or not (args.s and args.i and args.l):
        print(__doc__)
        return 0 if args.h else 2
    server = Server(args)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print("ready", flush=True)
    try:
        server.run()
    finally:
        server.log.file.close()
        os.unlink(args.s)
    return 0


if __name__ == "__main__":
    sys.exit(main())
