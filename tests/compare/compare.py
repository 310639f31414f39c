#!/usr/bin/env python3
"""compare -- random system calls on memory, on Debian's kernel and on lazy6, compared line by line.

usage: tests/compare/compare.py [-h] [SEEDS [CALLS]]      SEEDS: a number, or FROM-TO (1-20); CALLS for each (3000)
Prints "ok seed_N", or what was first different and the calls before it, then "FAIL seed_N". calls.c makes the calls; it
leaves out what Linux leaves open or does by accident. In what versions of Linux differ, either answer will do (EITHER).
"""
import os, re, shutil, sys, tempfile

HERE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, f"{HERE}/tests/crash")
import machines

SECONDS = 600
BEFORE = 12  # calls shown before a difference
EITHER = [  # the call, one answer, another
    (r"mmap .* pipe ", "errno 19", "errno 1"),   # with PROT_EXEC: pipes are of a file system without programs, or not
    (r"mremap ", "errno 14", "errno 22"),        # two things wrong: which is looked at first
]


def linux(words, scratch):
    """What the program prints as the first process of Debian's kernel."""
    initrd = f"{scratch}/initrd"
    with open(initrd, "wb") as f:
        f.write(machines.cpio([("dev", 0o040755, b""), ("proc", 0o040755, b""), ("dev/console", 0o020600, b""),
                               ("init", 0o100755, open(f"{HERE}/build/compare/calls", "rb").read())]))
    command = ["qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", "512M", "-nodefaults", "-display",
               "none", "-no-reboot", "-serial", "stdio", "-monitor", "none", "-kernel", machines.linux_files()[0], "-initrd", initrd,
               "-append", f"console=ttyS0 quiet panic=-1 mitigations=off tsc=unstable -- {words}"]
    return machines.Machine(command, dict(os.environ), f"{scratch}/linux")


def lazy6(words, scratch):
    os.makedirs(f"{scratch}/add/bin")
    shutil.copy(f"{HERE}/build/compare/calls", f"{scratch}/add/bin/calls")
    kernel = f"{HERE}/build/{os.environ.get('KERNEL') or 'release'}/kernel.elf"
    env = {k: v for k, v in os.environ.items() if k not in ("MEM", "APPEND", "XV6", "DISK", "KEEP", "CPU", "GDB", "TIMEOUT", "QEMU_EXTRA")}
    env.update(SMP="1", QUIET="1", ADD=f"{scratch}/add", RUN=f"calls {words}")
    return machines.Machine([f"{HERE}/tools/run", kernel], env, f"{scratch}/lazy6")


def by_seed(text):
    """{seed: [lines of a call, the mappings after it among them]}, whole seeds only"""
    found = {}
    for seed, lines in re.findall(r"^@@ seed (\d+)\n(.*?)(?=^@@)", text, re.M | re.S):
        found[int(seed)] = re.findall(r"^\d+ .*\n(?:  .*\n)*", lines, re.M)
    return found


def alike(a, b):
    if a == b:
        return True
    (first, *rest), (second, *more) = a.split("\n"), b.split("\n")
    return rest == more and any(re.search(r"^\d+ " + call, first) and {first.split(" = ")[-1], second.split(" = ")[-1]} == {one, other}
                                and first.split(" = ")[0] == second.split(" = ")[0] for call, one, other in EITHER)


def two_on_linux(a, b):
    """What moves has to be one mapping, and Linux does not merge all neighbours that are alike in everything one sees."""
    return re.search(r"^\d+ mremap .* = errno 14\n", a) and re.search(r"^\d+ mremap .* = \+", b)


def compare(theirs, ours):
    """Where they first differ, in words; "" if they do not."""
    for i, (a, b) in enumerate(zip(theirs, ours)):
        if two_on_linux(a, b):
            return "" # memory is different from here on
        if not alike(a, b):
            seen = [c for c in theirs[:i] if "\n  " in c]
            return "".join([c.split("\n")[0] + "\n" for c in theirs[max(0, i - BEFORE):i]] + (["mappings before:\n", *seen[-1].split("\n", 1)[1:]] if seen else [])
                           + ["Linux: " + a, "lazy6: " + b])
    return "" if len(theirs) == len(ours) else f"Linux made {len(theirs)} calls, lazy6 {len(ours)}\n"


def main(args):
    if args and args[0] in ("-h", "--help"):
        print(__doc__)
        return 0
    seeds = re.fullmatch(r"(\d+)(?:-(\d+))?", args[0] if args else "1-20")
    calls = re.fullmatch(r"\d+", args[1] if len(args) > 1 else "3000")
    if not seeds or not calls or len(args) > 2:
        print(__doc__, file=sys.stderr)
        return 2
    first, last = int(seeds[1]), int(seeds[2] or seeds[1])
    if not machines.linux_files():
        print("skip linux")
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        words = f"{first} {last} {calls[0]}"
        both = linux(words, scratch), lazy6(words, scratch)
        ended = [m.wait(SECONDS + (last - first) * int(calls[0]) // 50) for m in both]
        theirs, ours = (by_seed(m.text()) for m in both)
        tails = ["\n".join(m.text().splitlines()[-5:]) for m in both]
    failed = 0
    for seed in range(first, last + 1):
        wrong = "it did not run to its end" if seed not in theirs or seed not in ours else compare(theirs[seed], ours[seed])
        if wrong:
            failed += 1
            print(wrong.rstrip("\n"))
            if seed not in theirs or seed not in ours:
                print(f"Linux (status {ended[0]}): {tails[0]}\nlazy6 (status {ended[1]}): {tails[1]}")
        print(f"{'FAIL' if wrong else 'ok'} seed_{seed}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
