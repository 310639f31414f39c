"""console -- a person at the console, played by a script on a pseudo terminal. tests/run uses it."""
import fcntl, os, pty, re, select, signal, struct, subprocess, termios, time

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


PROMPT = r"# $"
BACK = r"(?s:.*)# $"
WHERE = "\x1b[6n"


class Console:
    def __init__(self, elf, env, seconds, command=None):
        self.limit = seconds
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.p = subprocess.Popen(command or [f"{HERE}/tools/run", elf, f"{HERE}/build/root.img"], cwd=HERE, env=env,
                                  stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                  preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)
        self.seen = ""
        self.asked = 0 # how often BusyBox wanted to know where the cursor is

    def read(self, seconds):
        if select.select([self.master], [], [], seconds)[0]:
            try:
                got = os.read(self.master, 4096).decode(errors="replace")
            except OSError: # the other side is closed
                return False
            for _ in range(got.count(WHERE)):
                self.send("\x1b[1;1R")
                self.asked += 1
            self.seen = (self.seen + got).replace(WHERE, "").replace("\r\r", "\r")
            return bool(got)
        return True

    def expect(self, pattern):
        """Wait until what was printed since the last match has the pattern: the match, or None."""
        end = time.time() + self.limit
        while True:
            m = re.search(pattern, self.seen)
            if m:
                self.seen = self.seen[m.end():]
                return m
            if time.time() > end or not self.read(0.5):
                return None

    def answer(self, before):
        """Behind a prompt the shell asks where the cursor is: have that answered, or a program would read the answer."""
        end = time.time() + 1
        while self.asked == before and time.time() < end and self.read(0.1):
            pass

    def send(self, text):
        os.write(self.master, text.encode())

    def status(self):
        end = time.time() + self.limit
        while self.p.poll() is None and time.time() < end:
            self.read(0.2)
        return self.p.poll()

    def close(self):
        if self.p.poll() is None:
            os.killpg(self.p.pid, signal.SIGTERM)
            try:
                self.p.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.p.pid, signal.SIGKILL)
        os.close(self.master)




def suite(elf, env, report, slow):
    c = Console(elf, env, 40 * slow)
    broken = []

    def step(name, text, pattern):
        """Type the text; the pattern must appear. After the first failure the rest is not tried."""
        if broken:
            return
        asked = c.asked
        if text:
            c.send(text)
        before = c.seen
        ok = c.expect(pattern) is not None
        if ok and pattern.endswith(PROMPT):
            c.answer(asked)
        report(ok, f"console/{name}", f"typed {text!r}, waited for {pattern!r}, seen {before + c.seen!r}")
        if not ok:
            broken.append(name)
    try:
        step("greeting_names_tour", "", r"\btour\b")
        step("prompt", "", PROMPT)
        step("echo", "echo he''llo\r", r"echo he''llo\r\nhello\r\n.*# $")
        step("erase_with_del", "echo abX\x7fc\r", r"\nabc\r\n" + BACK)
        step("erase_with_backspace", "echo abX\x08d\r", r"\nabd\r\n" + BACK)
        step("kill_line", "echo wrong\x15echo right\r", r"\nright\r\n" + BACK)
        # what is typed while the shell still edits the line would not be erased: it says when it is done with that
        step("canonical_erase", "echo re''ady; cat\r", r"\nready\r\n")
        step("canonical_erase_del", "xy\x7fz\r", r"\nxz\r\n")
        step("canonical_kill", "junk\x15good\r", r"\ngood\r\n")
        step("canonical_end_of_file", "\x04", PROMPT)
        step("interrupt_begins", "sleep 100\r", r"sleep 100\r\n")
        time.sleep(1)
        step("interrupt", "\x03", PROMPT)
        step("interrupt_status", "echo status=$?\r", r"\nstatus=130\r\n" + BACK)
        step("interrupt_at_the_prompt", "half a line\x03", r"\^C[\r\n]+.*# $")
        step("stop_begins", "sleep 100\r", r"sleep 100\r\n")
        time.sleep(1)
        step("stop", "\x1a", r"Stopped +sleep 100" + BACK)
        step("jobs", "jobs\r", r"\[1\]\+ +Stopped +sleep 100" + BACK)
        step("background", "bg\r", r"\[1\] sleep 100" + BACK)
        step("jobs_running", "jobs\r", r"\[1\]\+ +Running +sleep 100" + BACK)
        step("foreground", "fg\r", r"\nsleep 100\r\n")
        step("foreground_interrupt", "\x03", PROMPT)
        step("jobs_none", "jobs; echo none=$?\r", r"jobs; echo none=\$\?\r\nnone=0\r\n")
        step("background_reads", "cat &\r", PROMPT)
        time.sleep(1)
        step("background_read_stops", "jobs\r", r"Stopped \(tty input\)" + BACK)
        step("background_killed", "kill -9 %1; wait; echo gone\r", r"\ngone\r\n" + BACK)
        step("pipeline_interrupt_begins", "yes | cat > /dev/null\r", r"/dev/null\r\n")
        time.sleep(1)
        step("pipeline_interrupt", "\x03", PROMPT)
        step("window_size", "stty rows 30 cols 100; stty size\r", r"\n30 100\r\n" + BACK)
        step("stty", "stty -a | grep -c 'icanon\\|isig'\r", r"\n[12]\r\n" + BACK)
        step("no_echo", "stty -echo; read -r x; stty echo; echo \"<$x>\"\r", r"read.*\n")
        time.sleep(1)
        step("no_echo_line", "secret\r", r"^<secret>\r\n" + BACK)
        step("raw_mode", "stty raw; dd bs=1 count=3 2>/dev/null | od -An -c; stty -raw\r", r"raw\r\n")
        time.sleep(1)
        step("raw_mode_bytes", "\x03\x1ax", r"003 032 +x" + BACK)
        step("long_line", f"echo {'a' * 600} | wc -c\r", r"\n601\r\n" + BACK)
        step("many_lines", "i=0; while [ $i -lt 500 ]; do echo line$i; i=$((i+1)); done\r", r"\nline499\r\n" + BACK)
        step("tab_completion", "ls /etc/host\t\r", r"\n/etc/hostname\r\n" + BACK)
        step("history", "echo o''nce\r", r"\nonce\r\n" + BACK)
        step("history_up", "\x1b[A\r", r"\nonce\r\n" + BACK)
        step("ctrl_p_is_history", "\x10", r"echo o''nce")
        step("ctrl_p_history_runs", "\r", r"\nonce\r\n" + BACK)
        step("ctrl_p_begins", "cat\r", r"cat\r\n")
        time.sleep(1)
        step("ctrl_p_lists", "\x10", r"PID +PPID S(?s:.*) cat\r\n")
        step("ctrl_p_is_text_after_ctrl_v", "a\x16\x10b\r", r"a\^Pb\r\na\x10b\r\n")
        step("ctrl_p_ends", "\x04", PROMPT)
        step("log_out", "\x04", r"\btour\b")
        step("shell_comes_back", "", PROMPT)
        step("leaves_by_ctrl_a_x", "\x01x", r"Terminated|terminat")
        if not broken:
            st = c.status()
            report(st == 0, "console/ctrl_a_x_status", f"status {st}, seen {c.seen!r}")
    finally:
        c.close()
    for command in ("poweroff", "halt"):
        c = Console(elf, env, 40 * slow)
        try:
            ok = c.expect(PROMPT) is not None
            c.send(f"{command}\r")
            st = c.status()
            report(ok and st == 0, f"console/{command}", f"status {st}, seen {c.seen!r}")
        finally:
            c.close()
