"""machines.py -- the machines of the crash tests: images, the recording disk, lazy6 and Debian's kernel on it."""
import glob, os, re, shutil, signal, struct, subprocess, sys, tempfile, threading, time

HERE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OUT = f"{HERE}/build/crash"
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
# in the order in which they need each other
MODULES = ["virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_blk"]
PROCS_MAX = 16


class Broken(Exception):
    """The test could not be run: not a result."""


def scratch():
    """A folder in memory where there is one: states are written thousands of times."""
    return tempfile.mkdtemp(prefix="lazy6-crash.", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)


def image_make(path, size="16M", journal=4, inodes=2048, inode_size=256):
    """An image with the workload as its only program, and the directories that it works in."""
    with tempfile.TemporaryDirectory() as d:
        for sub in ["sbin", "dev", "proc", "tmp", "w/shared"] + [f"w/p{i}/many" for i in range(PROCS_MAX)]:
            os.makedirs(f"{d}/{sub}")
        shutil.copy(f"{OUT}/workload", f"{d}/sbin/init")
        if os.path.exists(path):
            os.unlink(path)
        subprocess.run(["truncate", "-s", size, path], check=True)
        subprocess.run(["mke2fs", "-q", "-F", "-t", "ext3", "-b", "4096", "-I", str(inode_size), "-N", str(inodes), "-m", "0",
                        "-O", "none,has_journal,filetype,sparse_super,large_file", "-J", f"size={journal}",
                        "-E", "root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0,nodiscard,"
                        "hash_seed=6c617a79-3600-4000-8000-000000000001",
                        "-U", "6c617a79-3600-4000-8000-000000000002", "-d", d, path],
                       check=True, env={**os.environ, "PATH": PATH, "E2FSPROGS_FAKE_TIME": "1700000000"}, stdout=subprocess.DEVNULL)


class Disk:
    """The recording disk, running. With it: .drives for QEMU, .log; it ends when QEMU does."""
    def __init__(self, folder, image, log, extra=()):
        self.socket, self.log = f"{folder}/nbd", log
        self.process = subprocess.Popen([sys.executable, f"{HERE}/tests/crash/disk.py", "-s", self.socket, "-i", image, "-l", log, *extra],
                                        stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise Broken("the recording disk did not start")
        self.drives = ""
        for i, name in enumerate(("disk", "facts")):
            self.drives += (f" -drive file=nbd+unix:///{name}?socket={self.socket},format=raw,if=none,id=n{i},cache=writeback,"
                            f"werror=report,rerror=report -device virtio-blk-pci,drive=n{i}")

    def end(self):
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.terminate()
            self.process.wait(10)
        self.process.stdout.close()


class Machine:
    """A QEMU that was started; .wait() or .kill() ends it."""
    def __init__(self, command, env, log):
        self.out = open(log, "w+b")
        self.process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=self.out, stderr=subprocess.STDOUT,
                                        start_new_session=True)

    def text(self):
        self.out.seek(0)
        return self.out.read().decode(errors="replace").replace("\r", "")

    def wait(self, seconds):
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return None
        return self.process.returncode

    def kill(self):
        """At once, with everything that it started: the power is cut."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


def lazy6(drives, crash, log, smp=2, mem="256M", kernel=None, append=""):
    kernel = kernel or f"{HERE}/build/{os.environ.get('KERNEL') or 'release'}/kernel.elf"
    env = {k: v for k, v in os.environ.items() if k not in ("RUN", "ADD", "DISK", "KEEP", "QUIET", "GDB", "TIMEOUT", "MAKEFLAGS", "CPU")}
    env.update(SMP=str(smp), MEM=mem, APPEND=f"crash={crash} {append}".strip(), QEMU_EXTRA=drives)
    return Machine([f"{HERE}/tools/run", kernel, "none"], env, log)


# ---- Debian's kernel

def linux_files():
    """(kernel, folder with its modules), or None. It is unpacked under build/, never installed."""
    folder = f"{HERE}/build/linux"
    found = sorted(glob.glob(f"{folder}/boot/vmlinuz-*"))
    if not found:
        subprocess.run([f"{HERE}/tools/setup", "linux"], check=False, stdout=subprocess.DEVNULL)
        found = sorted(glob.glob(f"{folder}/boot/vmlinuz-*"))
    if not found:
        return None
    version = found[-1].split("vmlinuz-")[1]
    return found[-1], f"{folder}/lib/modules/{version}"


def cpio(files):
    """A "newc" archive: [(name, mode, contents)]."""
    out = bytearray()
    for i, (name, mode, data) in enumerate(files + [("TRAILER!!!", 0, b"")]):
        head = [i + 1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
        out += b"070701" + b"".join(b"%08X" % n for n in head) + name.encode() + b"\0"
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    return bytes(out)


def linux_initrd(path):
    files = [(d, 0o040755, b"") for d in ("dev", "proc", "mnt", "modules")]
    modules = linux_files()[1]
    names = []
    for m in MODULES:
        hit = glob.glob(f"{modules}/**/{m}.ko", recursive=True)
        if hit:
            names.append(f"{m}.ko")
            files.append((f"modules/{m}.ko", 0o100644, open(hit[0], "rb").read()))
    files.append(("modules/list", 0o100644, "\n".join(names).encode() + b"\n"))
    files.append(("init", 0o100755, open(f"{OUT}/linux_init", "rb").read()))
    files.append(("crash", 0o100755, open(f"{OUT}/workload", "rb").read()))
    with open(f"{path}.{os.getpid()}.{threading.get_ident()}", "wb") as f:  # others may start a machine with it now
        f.write(cpio(files))
    os.replace(f.name, path)


def linux(drives, crash, log, smp=2, mem="512M", how="run"):
    kernel = linux_files()[0]
    initrd = f"{OUT}/initrd"
    linux_initrd(initrd)
    command = ["qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-cpu", "max", "-smp", str(smp), "-m", mem, "-nodefaults", "-display", "none",
               "-no-reboot", "-serial", "stdio", "-monitor", "none", "-kernel", kernel, "-initrd", initrd,
               "-append", f"console=ttyS0 quiet panic=-1 mitigations=off tsc=unstable how={how} crash={crash}"] + drives.split()
    return Machine(command, dict(os.environ), log)
