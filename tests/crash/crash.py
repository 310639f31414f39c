#!/usr/bin/env python3
"""crash.py -- cut the power of a machine that writes files, in every way, and see what is left.

usage: tests/crash/crash.py [-h] [-q] [-n STATES] [-k KILLS] [-s SEED] [-j JOBS] [PART...]
  -q  the short form that `make test` runs: some hundred states
  -n  states to explore in lazy6's recordings (10000)
  -k  live power cuts (50)
  -s  first seed (1): of the workload, the recording disk and the choice of states
  -j  so many programs at a time (2)
Parts, all if none is named:
  states    the workload in lazy6 on a recording disk (disk.py); every kind of state after a power cut is recovered by e2fsck
            and by our own replay, and judged (states.c, model.c)
  controls  the same recording as if flushes did nothing, commit records were sent early, or syncs returned early: each must
            be found
  live      the machine is killed at a random moment and loses what was not flushed; lazy6 boots again from that disk,
            recovers it, shows its files and is shut down; then the power cut in that recovery is explored as well
  linux     Debian's kernel in place of lazy6, as the oracle: its recording passes too; what lazy6 leaves, Linux reads in the
            same way; what one of them lost, the other recovers. Skipped where the kernel's package cannot be had
Each result is a line "ok NAME" or "FAIL NAME"; bad states are told with the words that `build/crash/states` takes to build
them again from the kept recording in build/crash/bad-*.
"""
import argparse, os, random, re, shutil, subprocess, sys, tempfile, time
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import machines
from machines import HERE, OUT, Disk

STATES = f"{OUT}/states"
failed, totals = [], {"states": 0, "bad": 0, "kills": 0, "records": 0}
SLOW = 4 if (os.environ.get("KERNEL") or "release") != "release" else 1
# seed offset, processes, operations of each, CPUs, memory, bytes that each process may have in files
SHAPES = [(0, 4, 400, 2, "256M", 1 << 20), (1, 8, 200, 4, "256M", 1 << 19), (2, 2, 600, 1, "64M", 1 << 21), (3, 4, 400, 4, "32M", 3 << 20),
          (4, 12, 120, 4, "256M", 1 << 20)]


def report(ok, name, detail="", seconds=None):
    if not ok:
        failed.append(name)
        print("".join(f"  {l[:600]}\n" for l in detail.rstrip().splitlines()[-30:]), end="")
    elif detail and not args.q:
        print("".join(f"  {l[:200]}\n" for l in detail.rstrip().splitlines()[-3:]), end="")
    if seconds is not None and not args.q:
        print(f"  {seconds:.0f} s")
    print(f"{'ok' if ok else 'FAIL'} {name}", flush=True)


def run_states(words):
    p = subprocess.run([STATES] + [str(w) for w in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    m = re.search(r"states: (\d+) tried, (\d+) bad", p.stdout)
    return p.returncode, p.stdout, int(m.group(1)) if m else 0, int(m.group(2)) if m else 0


def explore(image, log, n, seed, extra=()):
    """n states, shared among the jobs: (good, output)."""
    def part(i):
        return run_states(["-n", n, "-s", seed, "-p", f"{i}/{args.jobs}", *extra, image, log])
    with ThreadPoolExecutor(args.jobs) as pool:
        results = list(pool.map(part, range(args.jobs)))
    totals["states"] += sum(r[2] for r in results)
    totals["bad"] += sum(r[3] for r in results)
    return all(r[0] == 0 for r in results), "".join(r[1] for r in results)


def keep(folder, name):
    to = f"{OUT}/bad-{name}"
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(folder, to, ignore=lambda a, b: ["nbd"])
    return f"kept: {to}\n"


class Run:
    """A recording: folder/image, folder/log, folder/out."""
    def __init__(self, folder, system, seed, procs, ops, smp, mem, quota, kill_after=None, image=None, crash=None, **more):
        self.folder, self.image, self.log = folder, image or f"{folder}/image", f"{folder}/log"
        os.makedirs(folder, exist_ok=True)
        if not image:
            machines.image_make(self.image)
        disk = Disk(folder, self.image, self.log, ["-S", str(seed)])
        t = time.time()
        start = machines.lazy6 if system == "lazy6" else machines.linux
        machine = start(disk.drives, crash or f"run,{seed},{procs},{ops},{quota}", f"{folder}/out", smp=smp, mem=mem, **more)
        if kill_after is not None:
            machine.wait(kill_after)
        self.status = machine.wait((300 if kill_after is None else 0.01) * SLOW)
        disk.end()
        self.seconds, self.text = time.time() - t, machine.text()
        totals["records"] += 1
        self.done = "crash: done, status 0" in self.text


def record(folder, system, shape, seed):
    offset, procs, ops, smp, mem, quota = shape
    return Run(folder, system, seed + offset, procs, ops, smp, mem, quota)


def part_states(scratch):
    shapes = SHAPES[:1] if args.q else SHAPES
    rounds = max(1, args.n // 10000)
    for r in range(rounds):
        for i, shape in enumerate(shapes):
            t = time.time()
            folder = f"{scratch}/states{i}"
            if args.q:
                shape = (0, 4, 120, 2, "256M", 1 << 20)
            seed = args.s + r * len(SHAPES)
            rec = record(folder, "lazy6", shape, seed)
            name = f"states_{shape[1]}x{shape[2]}_{shape[3]}cpu_{shape[4]}_seed{seed + shape[0]}"
            ok, out = explore(rec.image, rec.log, -(-args.n // (len(shapes) * rounds)), seed)
            ended = rec.done and rec.status == 0
            if not ok or not ended:
                out += keep(folder, f"{name}")
            report(ok and ended, name, out + ("" if ended else rec.text[-1500:]), time.time() - t)
            if i + 1 < len(shapes) or r + 1 < rounds:
                shutil.rmtree(folder)
    return f"{scratch}/states{len(shapes) - 1}"


def part_controls(scratch):
    folder = f"{scratch}/control"
    rec = record(folder, "lazy6", (0, 4, 120, 2, "256M", 1 << 20), args.s)
    for control in ("ignore-flush", "early-commit", "early-ack"):
        t = time.time()
        status, out, tried, bad = run_states(["-c", control, "-n", 400, "-s", args.s, "-l", 3, rec.image, rec.log])
        report(status == 1 and bad > 0, f"control_{control}_is_found", out, time.time() - t)
    shutil.rmtree(folder)


def recovered(folder, system, image, log, crashed, name, seed):
    """Boot `system` on the crashed disk, let it list its files, shut it down. Then judge the disk, and what it listed."""
    more = {"how": "rw top=/w"} if system == "linux" else {}
    again = Run(folder, system, seed, 0, 0, 1 + seed % 4, "256M" if system == "lazy6" else "512M", 0, image=crashed,
                crash="list,/w", **more)
    if not again.done:
        return False, f"{name}: {system} did not come up again or could not read its files\n{again.text[-2500:]}"
    after = f"{folder}/after"
    run_states(["-x", after, crashed, again.log])
    status, out, _, _ = run_states(["-g", after, image, log])
    if status:
        return False, out
    shown = [l for l in again.text.splitlines() if l.startswith("= ")]
    want = subprocess.run([STATES, "-m", after, "/w"], stdout=subprocess.PIPE, text=True).stdout.splitlines()
    if shown != want:
        diff = [f"{system}: {l}" for l in shown if l not in want][:5] + [f"image: {l}" for l in want if l not in shown][:5]
        return False, f"{len(shown)} files shown, {len(want)} on the image\n" + "\n".join(diff)
    if system == "lazy6":
        ok, out = explore(crashed, again.log, 20, seed, ["-F", log])
        return ok, out
    return True, ""


def live_one(scratch, i, kills):
    seed = args.s + 1000 + i
    rng = random.Random(seed)
    folder = f"{scratch}/live{i}"
    shape = SHAPES[i % len(SHAPES)]
    rec = Run(folder, "lazy6", seed, shape[1], 100000, shape[3], shape[4], shape[5], kill_after=rng.uniform(0.7, 4.0) * SLOW)
    kind = ["torn", "some", "prefix", "ack", "but-one", "one"][i % 6]
    crashed = f"{folder}/crashed"
    status, out, _, _ = run_states(["-e", 1 << 30, "-w", kind, "-r", seed, "-o", crashed, rec.image, rec.log])
    if status:
        return False, f"the state itself ({kind}, seed {seed}):\n{out}{keep(folder, f'live{i}')}"
    ok, out = recovered(f"{folder}/again", "lazy6", rec.image, rec.log, crashed, f"kill {i}", seed)
    if not ok:
        out += keep(folder, f"live{i}")
    shutil.rmtree(folder)
    return ok, out


def part_live(scratch):
    t = time.time()
    bad = []
    with ThreadPoolExecutor(args.jobs) as pool:
        for i, (ok, out) in enumerate(pool.map(lambda i: live_one(scratch, i, args.k), range(args.k))):
            totals["kills"] += 1
            if not ok:
                bad.append(f"kill {i}: {out}")
    report(not bad, f"live_{args.k}_power_cuts", "\n".join(bad[:5]), time.time() - t)


def linux_oracle(scratch):
    t = time.time()
    folder = f"{scratch}/oracle"
    rec = record(folder, "linux", SHAPES[0][:4] + ("512M", 1 << 20), args.s)
    ok, out = explore(rec.image, rec.log, 1000, args.s)
    if not ok or not rec.done:
        out += rec.text[-1000:] + keep(folder, "linux")
    report(ok and rec.done, "linux_passes_too", out, time.time() - t)
    return rec


def linux_reads(scratch):
    """A tree that lazy6 wrote and left cleanly: Linux, lazy6 and the reader of the image show the same."""
    t = time.time()
    rec = record(f"{scratch}/reads", "lazy6", SHAPES[0], args.s + 50)
    end = f"{scratch}/reads/end"
    run_states(["-x", end, rec.image, rec.log])
    status, out, _, _ = run_states(["-f", end])
    want = [l for l in subprocess.run([STATES, "-m", end, "/w"], stdout=subprocess.PIPE, text=True).stdout.splitlines()]
    theirs = Run(f"{scratch}/reads/linux", "linux", 1, 0, 0, 1, "512M", 0, image=end, crash="list,/w", how="ro top=/w")
    shown = [l for l in theirs.text.splitlines() if l.startswith("= ")]
    diff = [f"linux: {l}" for l in shown if l not in want][:5] + [f"image: {l}" for l in want if l not in shown][:5]
    report(status == 0 and theirs.done and shown == want and len(want) > 100, "linux_reads_what_we_wrote",
           f"{out}{len(want)} files\n" + "\n".join(diff), time.time() - t)


def linux_each_other(scratch, theirs):
    t = time.time()
    bad = []
    ours = record(f"{scratch}/mine", "lazy6", SHAPES[0], args.s + 60)
    for i in range(args.each):
        for system, rec in (("lazy6", theirs), ("linux", ours)):
            rng = random.Random(args.s * 100 + i)
            events = int(re.search(r"-e (\d+)", run_states(["-v", "-e", 1 << 30, "-w", "prefix", "-r", 1, rec.image, rec.log])[1]).group(1))
            kind, event, folder = rng.choice(["torn", "some", "but-one"]), rng.randrange(events // 5, events), f"{scratch}/each{i}{system}"
            os.makedirs(folder)
            crashed = f"{folder}/crashed"
            status, out, _, _ = run_states(["-e", event, "-w", kind, "-r", i, "-o", crashed, rec.image, rec.log])
            ok = status == 0
            if ok:
                ok, out = recovered_at(folder, system, rec, crashed, event, i)
            if not ok:
                bad.append(f"{system} on event {event} {kind} {i}: {out}{keep(folder, f'each{i}{system}')}")
            shutil.rmtree(folder)
    report(not bad, "each_recovers_what_the_other_lost", "\n".join(bad[:5]), time.time() - t)


def recovered_at(folder, system, rec, crashed, event, seed):
    """As `recovered`, with only the facts that had been told at that event."""
    cut = f"{folder}/cut"
    cut_log(rec.log, cut, event)
    return recovered(f"{folder}/again", system, rec.image, cut, crashed, f"event {event}", seed)


def cut_log(log, to, events):
    data, at = open(log, "rb").read(), 0
    for _ in range(events + 1):
        at += 24 + (int.from_bytes(data[at + 4:at + 8], "little") if data[at:at + 1] in (b"W", b"A") else 0)
    open(to, "wb").write(data[:at])


def part_linux(scratch):
    if not machines.linux_files():
        print("skip linux")
        return
    theirs = linux_oracle(scratch)
    linux_reads(scratch)
    linux_each_other(scratch, theirs)


PARTS = {"states": part_states, "controls": part_controls, "live": part_live, "linux": part_linux}
ap = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1], add_help=False)
ap.add_argument("-h", action="store_true")
ap.add_argument("-q", action="store_true")
ap.add_argument("-n", type=int)
ap.add_argument("-k", type=int)
ap.add_argument("-s", type=int, default=1)
ap.add_argument("-j", dest="jobs", type=int, default=2)
ap.add_argument("parts", nargs="*")
args = ap.parse_args()
args.n = args.n or (400 if args.q else 10000)
args.k = args.k if args.k is not None else (2 if args.q else 50)
args.each = 2 if args.q else 10


def main():
    if args.h:
        print(__doc__)
        return 0
    for p in args.parts:
        if p not in PARTS:
            print(f"crash: no part '{p}'; there are {' '.join(PARTS)}", file=sys.stderr)
            return 2
    scratch = machines.scratch()
    t = time.time()
    try:
        for name in args.parts or (["states", "controls", "live"] if args.q else list(PARTS)):
            PARTS[name](scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"crash: {totals['states']} states explored of {totals['records']} recordings, {totals['bad']} bad; "
          f"{totals['kills']} live power cuts; {time.time() - t:.0f} s")
    return 1 if failed else 0


sys.exit(main())
