"""disk.py -- the suite `disk` of tests/run: what is left on an image that lazy6 worked on.

Each part boots with an image of its own (KEEP=), ends with an orderly power-off, and then asks e2fsck, dumpe2fs and debugfs.
"""
import os, re, subprocess, tempfile

NAMES, NAMES_SECONDS, EXTENTS = 100000, 180, 40
SUMS = "cd /w; find . | sort; find . -type f | sort | xargs md5sum; find . -type l | sort | xargs -n1 readlink"


def ask(env, *words):
    p = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace", env=env)
    return p.returncode, p.stdout


def extents(env, image, path):
    """Runs of data blocks that lie side by side on the disk, and how many blocks there are."""
    _, out = ask(env, "debugfs", "-R", f"stat {path}", image)
    runs, blocks, end = 0, 0, None
    for first, last in re.findall(r"\(\d+(?:-\d+)?\):(\d+)(?:-(\d+))?", out):
        lo, hi = int(first), int(last or first)
        runs += lo != end
        blocks += hi - lo + 1
        end = hi + 1
    return runs, blocks


def suite(boot, lines_to_results, check, linux_agrees, add, env):
    with tempfile.TemporaryDirectory() as d:
        def run(part, command, disk="800M", **kw):
            return boot(600, KEEP=f"{d}/{part}.img", ADD=add, DISK=disk, RUN=f"mkdir -p /w; cd /w && {command}", **kw)

        def clean(part):
            image = f"{d}/{part}.img"
            status, out = ask(env, "e2fsck", "-fn", image)
            check(f"disk/{part}_e2fsck", status == 0, out)
            _, out = ask(env, "dumpe2fs", "-h", image)
            check(f"disk/{part}_state", re.search(r"state:\s+clean\n", out) and "needs_recovery" not in out, out)

        st, out, s = run("calls", "/tests/disk.t", SMP=4)
        lines_to_results("disk", out, st, s)
        clean("calls")
        linux_agrees("disk/calls", f"{d}/calls.img", "/bin")

        st, out, s = run("tree", f"for i in 1 2 3; do /tests/disk_big tree $i || exit 1; done; {SUMS}", SMP=4)
        check("disk/tree", st == 0 and out.count("\n") > 50, f"status {st}\n{out[-1000:]}", s)
        clean("tree")
        linux_agrees("disk/tree", f"{d}/tree.img", "/w")
        st, again, s = boot(200, KEEP=f"{d}/tree.img", RUN=SUMS, SMP=1)
        check("disk/tree_second_boot", st == 0 and again == out, f"status {st}; the trees differ\n{again[-1000:]}", s)

        st, out, s = run("names", f"/tests/disk_big names {NAMES}", disk="2G", SMP=2) # with inodes enough
        took = dict(re.findall(r"(\w+) ([\d.]+)", out))
        print(f"     {NAMES} names: " + ", ".join(f"{k} in {v} s" for k, v in took.items()))
        check("disk/names", st == 0 and len(took) == 4 and max(map(float, took.values())) < NAMES_SECONDS, f"status {st}\n{out}", s)
        clean("names")

        st, out, s = run("files", "/tests/disk_big files", SMP=4)
        check("disk/files", st == 0, f"status {st}\n{out}", s)
        clean("files")
        for name in ["alone"] + [f"together{i}" for i in range(4)]:
            n, blocks = extents(env, f"{d}/files.img", f"/w/{name}")
            print(f"     {name}: {n} extents, {blocks} blocks")
            check(f"disk/extents_{name}", 0 < n < EXTENTS and blocks >= 64 << 8, f"{n} extents, {blocks} blocks")
