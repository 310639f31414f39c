"""programs -- unmodified programs of this machine run in the guest: copies them with their libraries, runs a list of
cases on both systems in the same way, compares output and status. tests/run uses it; its cases are in tests/programs/.

A case file is a sequence of
    == NAME [PROGRAM...]            the programs that must be on this machine (else the case is skipped)
    shell text                      run in an empty folder, standard input empty, $D names the data
A line "-- seen PATTERN" in it: its output is not compared, but must have a line that matches; "-- status N": must end so.
"""
import difflib, glob, os, random, re, shutil, subprocess, sysconfig, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
BASE = "bash sh timeout rm mkdir cat sort sed seq sleep touch ls wc head tail tr cut md5sum cksum env basename grep"
LOADER = "/lib64/ld-linux-x86-64.so.2" # what `ldd` asks, at ten times the price
CASE_SECONDS = int(os.environ.get("CASE_SECONDS") or 150)


class Case:
    def __init__(self, name, needs):
        self.name, self.needs, self.text, self.seen, self.status = name, needs, "", [], None


def read_cases(path):
    cases = []
    for line in open(path):
        if line.startswith("== "):
            words = line.split()
            cases.append(Case(words[1], words[2:]))
        elif line.startswith("-- seen "):
            cases[-1].seen.append(line[8:].rstrip("\n"))
        elif line.startswith("-- status "):
            cases[-1].status = int(line.split()[2])
        elif cases:
            cases[-1].text += line
    return cases


def make_data(d):
    """The files that the cases read: the same bytes on every machine."""
    r = random.Random(6)
    os.makedirs(f"{d}/tree/a/b/c")
    words = ["".join(r.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(r.randint(1, 9))) for _ in range(700)]
    with open(f"{d}/text", "w") as f:
        for i in range(3000):
            f.write(" ".join(r.choice(words) for _ in range(r.randint(0, 12))) + "\n")
    with open(f"{d}/table", "w") as f:
        for i in range(2000):
            f.write(f"{r.randint(0, 99999)}\t{r.choice(words)}\t{r.random():.6f}\n")
    open(f"{d}/bytes", "wb").write(r.randbytes(1500000))
    open(f"{d}/empty", "w")
    for i, p in enumerate(["a/one", "a/two.txt", "a/b/three.c", "a/b/c/four.txt", "five six"]):
        with open(f"{d}/tree/{p}", "w") as f:
            f.write("".join(r.choice(words) + "\n" for _ in range(10 * i + 1)))
    os.symlink("a/one", f"{d}/tree/link")
    for top, dirs, files in os.walk(d):
        for n in files + dirs:
            os.utime(f"{top}/{n}", (1.6e9, 1.6e9), follow_symlinks=False)


class Tree:
    """A folder for ADD=, filled with programs of this machine at the places where they lie here."""

    def __init__(self, root):
        self.root, self.have, self.none = root, set(), set()
        self.linked = [] # programs and libraries whose libraries are not in the tree yet

    def copy(self, path, at):
        os.makedirs(os.path.dirname(self.root + at), exist_ok=True)
        shutil.copy(os.path.realpath(path), self.root + at)

    def put(self, path, at=None):
        """One file under its own name (links followed); what its dynamic linker would load comes later, by libraries()."""
        at = at or path
        if os.path.lexists(self.root + at):
            return
        self.copy(path, at)
        with open(path, "rb") as f:
            if f.read(4) == b"\x7fELF":
                self.linked.append(path)

    def libraries(self):
        for path in self.linked:
            out = subprocess.run([LOADER, "--list", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
            for lib in re.findall(r"(?:=> )?(/\S+) \(0x", out):
                if not os.path.lexists(self.root + lib):
                    self.copy(lib, lib) # the loader has named the libraries of libraries, too
        self.linked = []

    def program(self, name):
        """True if the machine has it; it is then in the tree."""
        if name not in self.have | self.none:
            special = {"python": self.python, "perl-lib": self.perl_lib, "git-core": self.git, "cc": self.compiler}
            ok = special[name]() if name in special else self.plain(name)
            (self.have if ok else self.none).add(name)
        return name in self.have

    def plain(self, name):
        if os.path.lexists(f"{self.root}/usr/bin/{name}"):
            return True # one of ours
        path = shutil.which(name, path=PATH)
        if path is None or open(path, "rb").read(4) != b"\x7fELF":
            return False
        self.put(path, f"/usr/bin/{name}")
        return True

    def python(self):
        """python3 with the standard library that lies beside it, at the same place (it finds itself by its path)."""
        p = subprocess.run(["python3", "-c", "import sys, sysconfig as s; print(sys.executable, sys.base_prefix, "
                            "s.get_path('stdlib'), s.get_path('platstdlib'))"], stdout=subprocess.PIPE, text=True)
        if p.returncode:
            return False
        exe, prefix, lib, plat = p.stdout.split()
        keep = ("test_mmap.py", "support", "__init__.py", "__pycache__")
        drop = {"site-packages", "dist-packages", "idlelib", "ensurepip", "lib2to3", "tkinter", "turtledemo", "pydoc_data",
                "distutils"}

        def ignore(folder, names):
            if folder == f"{lib}/test":
                return [n for n in names if n not in keep]
            return [n for n in names if n in drop or n.startswith("config-")
                    or (n == "tests" or n == "test") and folder != lib]
        self.put(exe)
        for name in (os.path.realpath(exe), f"{prefix}/bin/python3"):
            self.put(name)
        shutil.copytree(lib, self.root + lib, ignore=ignore, symlinks=True, dirs_exist_ok=True)
        self.linked += glob.glob(f"{plat}/lib-dynload/*.so")
        os.makedirs(f"{self.root}/usr/bin", exist_ok=True)
        os.symlink(exe, f"{self.root}/usr/bin/python3")
        return True

    def perl_lib(self):
        p = subprocess.run(["perl", "-e", 'print join "\n", @INC'], stdout=subprocess.PIPE, text=True)
        for d in p.stdout.split():
            if d.startswith("/usr/") and "local" not in d and os.path.isdir(d):
                real = os.path.realpath(d)
                shutil.copytree(real, self.root + real, symlinks=True, dirs_exist_ok=True,
                                ignore=shutil.ignore_patterns("*.pod", "unicore"))
                if real != d and not os.path.lexists(self.root + d):
                    os.symlink(real, self.root + d)
        return p.returncode == 0

    def git(self):
        if not self.plain("git"):
            return False
        if not os.path.lexists(f"{self.root}/usr/bin/git-upload-pack"):
            os.symlink("git", f"{self.root}/usr/bin/git-upload-pack")
        return True

    def compiler(self):
        """gcc with what it needs to make a dynamic program from C."""
        if not (shutil.which("gcc") and self.plain("as") and self.plain("ld") and self.plain("gcc")):
            return False

        def where(n):
            return subprocess.run(["gcc", "-print-prog-name=" + n], stdout=subprocess.PIPE, text=True).stdout.strip()

        def libfile(n):
            return subprocess.run(["gcc", "-print-file-name=" + n], stdout=subprocess.PIPE, text=True).stdout.strip()
        for n in ("cc1", "collect2"):
            self.put(where(n))
        for n in ("crt1.o", "Scrt1.o", "crti.o", "crtn.o", "crtbegin.o", "crtbeginS.o", "crtend.o", "crtendS.o", "libgcc.a",
                  "libgcc_s.so", "libgcc_s.so.1", "libc.so", "libc.so.6", "libc_nonshared.a", "liblto_plugin.so"):
            if "/" in libfile(n):
                self.put(os.path.normpath(libfile(n)))
        deps = subprocess.run(["gcc", "-M", "-O1", "-xc", "-"], input="#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n",
                              stdout=subprocess.PIPE, text=True).stdout
        for h in re.findall(r"/\S+\.h", deps):
            self.put(h)
        return True


def build_own(tree, quiet=subprocess.DEVNULL):
    """Our small programs in every way that a libc can be linked: NAME-KIND in /usr/bin. The last is a guest test too."""
    kinds = {"glibc": ["gcc"], "glibc-nopie": ["gcc", "-no-pie"], "glibc-static": ["gcc", "-static"],
             "glibc-static-pie": ["gcc", "-static-pie"], "musl": ["musl-gcc"], "musl-static": ["musl-gcc", "-static"],
             "musl-static-pie": ["musl-gcc", "-static-pie"], "glibc-now": ["gcc", "-Wl,-z,now,-z,separate-code"],
             "glibc-lld": ["gcc", "-fuse-ld=lld"], "glibc-gold": ["gcc", "-fuse-ld=gold"], "clang": ["clang", "-O2"]}
    os.makedirs(f"{tree.root}/usr/bin", exist_ok=True)
    for name in ("programs/hello", "programs/threads", "guest/pthreads"):
        for kind, cmd in kinds.items():
            out = f"{tree.root}/usr/bin/{os.path.basename(name)}-{kind}"
            if not shutil.which(cmd[0]) or subprocess.run(cmd + ["-O1", "-pthread", f"{HERE}/{name}.c", "-o", out, "-lm"],
                                                         stdout=quiet, stderr=quiet).returncode:
                continue
            if kind == "musl":
                musl = "/lib/ld-musl-x86_64.so.1"
                tree.put(musl)
            else:
                tree.linked.append(out)
    # glibc loads it when a thread is cancelled or ends: no list of a program's libraries has it
    unwinder = subprocess.run(["gcc", "-print-file-name=libgcc_s.so.1"], stdout=subprocess.PIPE, text=True).stdout.strip()
    if os.path.isabs(unwinder):
        tree.put(os.path.normpath(unwinder))


def write_runner(folder, cases, shell):
    """run.sh FOLDER-OF-CASES WORK: every case in an empty folder, with marks around its output."""
    for i, c in enumerate(cases):
        with open(f"{folder}/{i}.sh", "w") as f:
            f.write(c.text)
    with open(f"{folder}/run.sh", "w") as f:
        f.write(f"""mkdir -p "$2"
export HOME="$2" LC_ALL=C TZ=UTC0 D="$1/data"
i=0
while [ $i -lt {len(cases)} ]; do
  rm -rf "$2/w"; mkdir "$2/w"; cd "$2/w" || exit 1
  echo "@@@ case $i"
  timeout {CASE_SECONDS} {shell} "$1/$i.sh" </dev/null 2>&1
  s=$?
  echo; echo "@@@ status $s"
  cd /; i=$((i + 1))
done 2>&1 | cat
""")


def parse(out):
    """{case number: (output, status)}"""
    return {int(m[1]): (m[2], int(m[3])) for m in re.finditer(r"@@@ case (\d+)\n(.*?)\n@@@ status (\d+)\n", out, re.S)}


def run_host(folder, path, work):
    p = subprocess.run(["/bin/sh", f"{folder}/run.sh", folder, work], env={"PATH": path}, stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace")
    return parse(p.stdout.replace(folder, "/cases").replace(work, "/tmp/work"))


def judge(case, host, guest):
    """'' or what is wrong."""
    if guest is None:
        return "it did not run to its end"
    if case.status is not None and guest[1] != case.status:
        return f"status {guest[1]}, not {case.status}\n{guest[0]}"
    if case.seen:
        missing = [s for s in case.seen if not re.search(s, guest[0], re.M)]
        return f"not seen: {missing}\nstatus {guest[1]}\n{guest[0]}" if missing else ""
    if guest != host:
        if host is None:
            return "it did not run to its end on Linux"
        sides = [f"{out}\nstatus {status}".splitlines() for out, status in (host, guest)]
        return "\n".join(difflib.unified_diff(*sides, "Linux", "lazy6", lineterm="", n=1))
    return ""


def suite(name, file, shell, boot, report, skip, wanted="", busybox=None, **kw):
    """Run the cases of tests/programs/FILE. boot(timeout, **settings) -> (status, output, seconds)."""
    t = time.time()
    with tempfile.TemporaryDirectory() as d:
        tree, cases = Tree(f"{d}/add"), []
        folder = f"{tree.root}/cases"
        os.makedirs(folder)
        make_data(f"{folder}/data")
        if busybox is None:
            build_own(tree)
            for n in BASE.split():
                tree.program(n)
        for c in read_cases(f"{HERE}/programs/{file}"):
            if wanted not in f"{name}/{c.name}":
                continue
            missing = [n for n in c.needs if not tree.program(n)]
            if missing:
                skip(f"{name}/{c.name}", missing)
            else:
                cases.append(c)
        if not cases:
            return
        tree.libraries()
        write_runner(folder, cases, shell)
        path = PATH
        if busybox:
            os.makedirs(f"{d}/bin")
            os.makedirs(f"{tree.root}/bb")
            for applet in subprocess.run([busybox, "--list"], stdout=subprocess.PIPE, text=True).stdout.split():
                os.symlink(busybox, f"{d}/bin/{applet}")
                os.symlink("/bin/busybox", f"{tree.root}/bb/{applet}")
        host = run_host(folder, f"{d}/bin" if busybox else f"{tree.root}/usr/bin:{path}", f"{d}/work")
        guest_path = "/bb" if busybox else path
        status, out, _ = boot(1500, ADD=tree.root, RUN=f"PATH={guest_path} sh /cases/run.sh /cases /tmp/work", **kw)
        guest = parse(out)
        for i, c in enumerate(cases):
            wrong = judge(c, host.get(i), guest.get(i))
            report(not wrong, f"{name}/{c.name}", wrong)
        tail = "\n".join(out.splitlines()[-30:])
        report(status == 0, f"{name}/ends", f"status {status}\n{tail}", time.time() - t)
