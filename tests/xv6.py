"""xv6 -- programs of xv6's, compiled by tools/xv6 and run in the guest. tests/run uses it.

The sample programs of user/xv6/programs, with what each must print; programs in old habits (tests/xv6/old); programs
that must be refused (tests/xv6/refused); and `make qemu` as a person has it.
"""
import glob, os, re, shutil, subprocess, tempfile, time
import console

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SAMPLES, OLD, REFUSED = f"{HERE}/user/xv6/programs", f"{HERE}/tests/xv6/old", f"{HERE}/tests/xv6/refused"
TEXT = "one two\nthree\n\nfour five six\n"
LIBRARY_LINES = 1000

# Name, shell text, what it must print (a regular expression for the whole of it).
SESSION = [
    ("cat", "./cat text text", re.escape(TEXT + TEXT)),
    ("cat_standard_input", "./cat < text", re.escape(TEXT)),
    ("cat_missing", "./cat none", "cat: cannot open none\n"),
    ("echo", "./echo a 'b  c' d", "a b  c d\n"),
    ("wc", "./wc text", "4 6 29 text\n"),
    ("wc_standard_input", "./wc < text", "4 6 29 \n"),
    ("grep", "./grep o text", "one two\nfour five six\n"),
    ("grep_start", "./grep ^t text", "three\n"),
    ("grep_end", "./grep 'o$' text", "one two\n"),
    ("grep_empty_line", "./grep '^$' text | ./wc", "1 0 1 \n"),
    ("grep_any", "./grep 'f.*x' text", "four five six\n"),
    ("grep_star", "./grep 'thre*$' text", "three\n"),
    ("grep_none", "./grep zzz text", ""),
    ("mkdir", "./mkdir d d/e; ./mkdir d; ./ls d", r"mkdir: cannot make d\n\. +1 \d+ \d+\n\.\. +1 \d+ \d+\ne +1 \d+ \d+\n"),
    ("ln", "./ln text d/other && ./cat d/other && ./ln none d/none", re.escape(TEXT) + "ln: cannot call none d/none\n"),
    ("ls", "./ls text d/other", r"text           2 (\d+) 29\nd/other        2 \1 29\n"),
    ("ls_long_names", "./ls folder", r"(?s).*^a-name-that-is 2 \d+ 21$.*"),
    ("ls_root", "./ls / | ./grep usertests", r"usertests      2 \d+ \d+\n"),
    ("ls_missing", "./ls none", "ls: cannot open none\n"),
    ("rm", "./rm d; ./rm d/e d/other d none; ./ls d", "rm: cannot remove d\nrm: cannot remove none\nls: cannot open d\n"),
    ("kill", "sleep 100 & ./kill $!; wait $!; echo $?; ./kill 99999", "(Killed\n)?137\nkill: there is no process 99999\n"),
    ("zombie", "./zombie && ps | grep -c '[z]ombie'", "0\n"),
    ("stressfs", "./stressfs; ./ls . | ./grep ^stressfs[0-9]", "stressfs starting\nstressfs done\n"),
    ("forktest", "./forktest", "fork test\nfork test OK\n"),
    ("usertests", "./usertests", r"(?s)usertests starting\n(ok \w+\n){20,}ALL TESTS PASSED\n"),
    ("mmaptest", "./mmaptest", r"(?s)mmaptest starting\n(ok \w+\n){15,}ALL TESTS PASSED\n"),
    ("leaves_nothing", "ls | grep -E '^(ut|mmaptest.)\\.?' | grep -vE '^(usertests|mmaptest)$'", ""),
    ("int_addresses", "./pointers", "aligned positive\nmh\n"),
    ("strings_can_be_written", "./literals", "file1\n"),
    ("printf_of_its_own", "./ownprint", "100%\n"),
    ("readme", "./grep ^Programs README", r"Programs in the manner of xv6's\..*\n"),
]
# The disk may be there for reading only: then a copy in memory takes its place.
PREPARE = "cd /xv6; touch .w 2>/dev/null || { cp -r /xv6 /tmp/x && mount -t tmpfs none /xv6 && cp -r /tmp/x/. /xv6; }; cd /xv6; "


def compile_folder(folder, out, *words):
    p = subprocess.run([f"{HERE}/tools/xv6", *words, folder, out], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return p.returncode, p.stdout


def suite_compiling(report):
    with tempfile.TemporaryDirectory() as d:
        st, out = compile_folder(SAMPLES, f"{d}/samples", "-W")
        made = {f for f in os.listdir(f"{d}/samples") if os.access(f"{d}/samples/{f}", os.X_OK)}
        want = {os.path.basename(f)[:-2] for f in glob.glob(f"{SAMPLES}/*.c")}
        report(st == 0 and out == "" and made == want, "xv6/samples_compile", f"status {st}, made {made}\n{out}")
        st, out = compile_folder(OLD, f"{d}/old")
        report(st == 0 and re.search(r"pointers\.c:\d+:\d+: warning: .*pointer", out), "xv6/old_c_compiles_with_warnings", f"status {st}\n{out}")
        report("part.c has no main: it is left out" in out and not os.path.exists(f"{d}/old/part"), "xv6/no_main_is_said", out)
        report(os.path.exists(f"{d}/old/beside") and os.path.exists(f"{d}/old/folder/a-name-that-is-long"), "xv6/other_files_beside")
        for name, words in {
            "call": r"call\.c:11: error: .*call the function that user.h declares",
            "call_hidden": r"call_hidden\.c:7: error: .*call the function that user.h declares",
            "kernel_header": r"(?s)kernel_header\.c:2.*error: .*a program includes user.h",
            "kernel_memory": r"(?s)kernel_memory\.c.*error: .*no program reaches the kernel's memory.*kernel_memory\.c:8:",
            "kernel_allocator": r"kernel_allocator\.c:7:.*error: .*call malloc or mmap",
            "mistake": r"mistake\.c:7:\d+: error: ",
        }.items():
            os.makedirs(f"{d}/{name}")
            shutil.copy(f"{REFUSED}/{name}.c", f"{d}/{name}")
            st, out = compile_folder(f"{d}/{name}", f"{d}/{name}.out")
            report(st == 1 and re.search(words, out) and not os.path.exists(f"{d}/{name}.out/{name}"), f"xv6/refused_{name}", f"{st}\n{out}")
        os.makedirs(f"{d}/whole")
        for name, text in {"cat.c": "#include \"user.h\"\nint main(void) { exit(); }\n", "main.c": "int main(void) { kernel; }\n",
                           "README": "of a whole xv6\n", "Makefile": "OBJS=main.o\nUPROGS=\\\n\t_cat\\\n\t_none\\\n\nfs.img: mkfs $(UPROGS)\n"}.items():
            open(f"{d}/whole/{name}", "w").write(text)
        st, out = compile_folder(f"{d}/whole", f"{d}/whole.out")
        report(st == 0 and sorted(os.listdir(f"{d}/whole.out")) == ["README", "cat"], "xv6/programs_of_a_whole_xv6", f"{st} {out}")
        p = subprocess.run([f"{HERE}/tools/run"], env={**os.environ, "XV6": f"{d}/mistake", "RUN": "/xv6/mistake"}, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        report(p.returncode == 1 and "mistake.c:7:" in p.stdout, "xv6/run_says_what_does_not_compile", f"{p.returncode}\n{p.stdout}")
    text = [open(f).read().splitlines() for part in ("lib", "include") for f in glob.glob(f"{HERE}/user/xv6/{part}/*")]
    lib = sum(len(open(f).readlines()) for f in glob.glob(f"{HERE}/user/xv6/lib/*"))
    code = sum(1 for t in text for l in t if l.strip() and not l.strip().startswith("//"))
    report(lib < LIBRARY_LINES and code < LIBRARY_LINES, "xv6/library_is_small", f"{lib} lines; {code} of code, with the headers")


def suite_guest(boot, report):
    """All of SESSION in one boot; each ends with a mark and its name."""
    with tempfile.TemporaryDirectory() as d:
        shutil.copytree(SAMPLES, d, dirs_exist_ok=True)
        shutil.copytree(OLD, d, dirs_exist_ok=True)
        open(f"{d}/text", "w").write(TEXT)
        open(f"{d}/session", "w").write("".join(f"{{ {text}; }} </dev/null\necho '@@ {name}'\n" for name, text, _ in SESSION))
        st, out, s = boot(300, XV6=d, RUN=PREPARE + "echo '@@ begins'; sh session 2>&1", SMP=2)
        parts = re.split(r"@@ (\w+)\n", out.split("@@ begins\n")[-1]) # before that: what the compiler said
        seen = dict(zip(parts[1::2], parts[0::2]))
        for name, text, want in SESSION:
            got = seen.get(name)
            report(got is not None and re.fullmatch(want, got, re.M), f"xv6/{name}", f"{text}\nprinted {got!r}\nwanted {want!r}")
        report(st == 0, "xv6/session_ends", f"status {st}\n{out[-2000:]}", s)

        st, out, s = boot(60, XV6=d, RUN="/xv6/where; /xv6/cat /xv6/beside /beside beside; ./ls | ./grep where; exit 3")
        want = "this lies beside it\n" * 4 + r"where +2 \d+ \d+\n$"
        report(st == 3 and re.search(want, out), "xv6/run_in_its_folder", f"{st} {out!r}", s)


def suite_qemu(env, report, slow):
    c = console.Console(None, {**env, "CPUS": "3", "QUIET": "1"}, 90 * slow, ["make", "qemu-nox"])
    try:
        steps = [
            ("prompt_in_xv6", "", r"lazy6:/xv6# $"),
            ("cpus", "grep -c ^processor /proc/cpuinfo\r", r"\n3\r\n(?s:.*)# $"),
            ("programs_by_name", "usertests strings\r", r"\nok strings\r\nALL TESTS PASSED\r\n(?s:.*)# $"),
            ("ctrl_p_at_the_prompt", "\x10", r"PID +PPID S(?s:.*) sh\r\n"),
            ("ctrl_a_x", "\x01x", r"Terminated|terminat"),
        ]
        for name, text, want in steps:
            if text:
                c.send(text)
            ok = c.expect(want) is not None
            report(ok, f"xv6/qemu_{name}", f"seen {c.seen!r}")
            if not ok:
                return
        st = c.status()
        report(st == 0, "xv6/qemu_status", f"status {st}")
    finally:
        c.close()


def suite_gdb(env, report, slow, skip):
    """`make qemu-gdb` waits; `tools/gdb -a` attaches and lets it go on."""
    if not shutil.which("gdb"):
        skip("xv6/qemu_gdb", ["gdb"])
        return
    c = console.Console(None, env, 90 * slow, ["make", "qemu-gdb"])
    try:
        told = c.expect(r"Now run 'tools/gdb -a'") is not None
        end = time.time() + 60 * slow
        while not os.path.exists(f"{HERE}/build/gdb.sock") and time.time() < end:
            time.sleep(0.1)
        p = subprocess.run([f"{HERE}/tools/gdb", "-a"], input="hbreak kernel_main\ncontinue\ndetach\n", stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, timeout=120 * slow)
        report(told and "Breakpoint 1, kernel_main" in p.stdout, "xv6/qemu_gdb_attaches", p.stdout)
        report(c.expect(r"lazy6:/xv6# $") is not None, "xv6/qemu_gdb_goes_on", f"seen {c.seen!r}")
    finally:
        c.close()


def suite(boot, env, report, slow, skip):
    suite_compiling(report)
    suite_guest(boot, report)
    suite_qemu(env, report, slow)
    suite_gdb(env, report, slow, skip)
