// rules_exec.c -- execve and exit as memory sees them: rules E01 to E10.
#define T_OWN_MAIN
#include "rules.h"
#include <elf.h>
#include <stddef.h>
#include <sys/auxv.h>

static char *none[] = {0};

static int
run(const char *path, char *arg, char *arg2)
{
  char *argv[] = {(char *)path, arg, arg2, 0};
  int status;
  pid_t pid = fork();

  need(pid >= 0);
  if(pid == 0) {
    execve(path, argv, none);
    _exit(126);
  }
  need(waitpid(pid, &status, 0) == pid);
  return status;
}

// A copy of this program under a name of its own.
static void
copy_self(char *path)
{
  char buf[PAGE];
  int from = open("/proc/self/exe", O_RDONLY), to = mkstemp(path);
  ssize_t n;

  need(from >= 0 && to >= 0);
  while((n = read(from, buf, sizeof(buf))) > 0)
    need(write(to, buf, n) == n);
  need(fchmod(to, 0755) == 0);
  close(from);
  close(to);
}

static void
store_and_exec(void *arg)
{
  char **p = arg, at[32], *argv[] = {"/proc/self/exe", "T_MAPPED", at, 0};

  snprintf(at, sizeof(at), "%lx", (long)p[1]);
  p[0][0] = 'E';
  execve(argv[0], argv, none);
  _exit(9);
}

TEST(exec_drops_mappings_keeps_stores) // E01
{
  int fd = temp_pages(1);
  char *p[2] = {file_at(fd, PAGE, RW, MAP_SHARED), map(1000 * PAGE)};

  memset(p[1], 1, 1000 * PAGE);
  expect_eq(in_child(store_and_exec, p), 0);
  expect(file_byte(fd, 0) == 'E' && p[0][0] == 'E');
}

static char zeros[64 * PAGE + 123];
static char data[] = "initialized data, small: the bss begins in its page";

TEST(bss_is_zero) // E02
{
  expect_eq(differing(zeros, sizeof(zeros), 0), 0);
  expect(strncmp(data, "initialized", 11) == 0);
  data[0] = zeros[sizeof(zeros) - 1] = 'x';
  expect_eq(run("/proc/self/exe", "T_BSS", 0), 0);
}

TEST(text_is_busy) // E03
{
  char path[] = "/dev/shm/busy.XXXXXX";
  int fd[2], w;
  char c;
  pid_t pid;

  copy_self(path);
  need(pipe(fd) == 0);
  w = open(path, O_RDWR);
  need(w >= 0);
  expect_errno(execve(path, none, none), ETXTBSY);
  close(w);
  pid = fork();
  if(pid == 0) {
    char *argv[] = {path, "T_PAUSE", 0};

    dup2(fd[1], 1);
    execve(path, argv, none);
    _exit(9);
  }
  need(read(fd[0], &c, 1) == 1); // it runs
  expect_errno(open(path, O_WRONLY), ETXTBSY);
  expect_errno(open(path, O_RDWR), ETXTBSY);
  expect_errno(truncate(path, 0), ETXTBSY);
  w = open(path, O_RDONLY);
  expect(w >= 0);
  close(w);
  kill(pid, SIGKILL);
  waitpid(pid, 0, 0);
  w = open(path, O_WRONLY);
  expect(w >= 0);
  close(w);
  unlink(path);
}

static void
store_and_exit(void *arg)
{
  ((char *)arg)[5] = 'X';
  _exit(0);
}

static void
store_and_die(void *arg)
{
  ((char *)arg)[6] = 'K';
  kill(getpid(), SIGKILL);
}

TEST(exit_and_kill_keep_stores) // E04, E05, F13
{
  int fd = temp_pages(1);
  char *p = file_at(fd, PAGE, RW, MAP_SHARED);

  expect_eq(in_child(store_and_exit, p), 0);
  expect_eq(in_child(store_and_die, p) & 0x7f, SIGKILL);
  munmap(p, PAGE);
  expect(file_byte(fd, 5) == 'X' && file_byte(fd, 6) == 'K');
}

TEST(failing_exec_keeps_everything) // E06
{
  char *p = map(16 * PAGE), path[] = "/dev/shm/bad.XXXXXX";
  int fd = temp_pages(1), bad;
  char *s = file_at(fd, PAGE, RW, MAP_SHARED);
  Elf64_Ehdr h;

  memset(p, 'k', 16 * PAGE);
  copy_self(path);
  bad = open(path, O_RDWR);
  need(bad >= 0 && pread(bad, &h, sizeof(h), 0) == sizeof(h));
  h.e_machine = EM_386;
  need(pwrite(bad, &h, sizeof(h), 0) == sizeof(h));
  close(bad);
  expect_errno(execve(path, none, none), ENOEXEC);
  expect_errno(execve("/dev/shm", none, none), EACCES);
  expect_errno(syscall(SYS_execve, "/proc/self/exe", 8ul, none), EFAULT);
  s[0] = 'S';
  expect_eq(file_byte(fd, 0), 'S');
  expect_eq(differing(p, 16 * PAGE, 'k'), 0);
  unlink(path);
}

TEST(the_program_file_goes_away) // E08
{
  char path[] = "/dev/shm/gone.XXXXXX", path2[] = "/dev/shm/gone.XXXXXX";

  copy_self(path);
  expect_eq(run(path, "T_UNLINK", path), 0);
  expect(access(path, F_OK) < 0);
  memcpy(path, path2, sizeof(path));
  copy_self(path);
  copy_self(path2);
  expect_eq(run(path, "T_REPLACE", path2), 0);
  unlink(path);
}

TEST(auxiliary_vector) // E09
{
  const Elf64_Phdr *ph = (void *)getauxval(AT_PHDR);
  const char *random = (void *)getauxval(AT_RANDOM), *name = (void *)getauxval(AT_EXECFN);
  bool load = false;

  need(ph && random && name);
  expect_eq(getauxval(AT_PHENT), sizeof(Elf64_Phdr));
  expect_eq(getauxval(AT_PAGESZ), PAGE);
  for(unsigned long i = 0; i < getauxval(AT_PHNUM); i++)
    load |= ph[i].p_type == PT_LOAD;
  expect(load);
  expect(getauxval(AT_ENTRY) != 0);
  expect_eq(getauxval(AT_BASE), 0); // a static program has no interpreter
  expect(getauxval(AT_UID) == getuid() && getauxval(AT_EUID) == geteuid());
  expect(getauxval(AT_GID) == getgid() && getauxval(AT_EGID) == getegid());
  expect_eq(getauxval(AT_SECURE), 0);
  expect(strlen(name) > 0 && getauxval(AT_CLKTCK) == 100);
  expect(differing(random, 16, random[0]) > 0);
}

// ---- programs made by hand

struct tiny {
  Elf64_Ehdr h;
  Elf64_Phdr ph[5];
  unsigned char code[256];
};

static void
tiny_begin(struct tiny *t, int type, int nph)
{
  memset(t, 0, sizeof(*t));
  memcpy(t->h.e_ident, "\177ELF\2\1\1", 7);
  t->h.e_type = type;
  t->h.e_machine = EM_X86_64;
  t->h.e_version = 1;
  t->h.e_entry = offsetof(struct tiny, code);
  t->h.e_phoff = offsetof(struct tiny, ph);
  t->h.e_ehsize = sizeof(Elf64_Ehdr);
  t->h.e_phentsize = sizeof(Elf64_Phdr);
  t->h.e_phnum = nph;
  t->ph[0] = (Elf64_Phdr){
      .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_filesz = sizeof(*t), .p_memsz = sizeof(*t), .p_align = PAGE};
}

static void
tiny_write(char *path, const struct tiny *t, size_t n)
{
  int fd = mkstemp(path);

  need(fd >= 0 && write(fd, t, n) == (ssize_t)n && fchmod(fd, 0755) == 0);
  close(fd);
}

// exit(status)
static const unsigned char code_exit[] = {0xbf, 7, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05};

TEST(position_independent_program) // E10
{
  char path[] = "/dev/shm/pie.XXXXXX";
  struct tiny t;

  tiny_begin(&t, ET_DYN, 2);
  t.ph[1] = (Elf64_Phdr){.p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W};
  memcpy(t.code, code_exit, sizeof(code_exit));
  tiny_write(path, &t, sizeof(t));
  expect_eq(WEXITSTATUS(run(path, 0, 0)), 7);
  unlink(path);
}

// Status 0 if the bss is zero where the file goes on and in the pages behind, and can be stored to.
TEST(unaligned_segment_ends) // E10, E02
{
  static const unsigned char code[] = {
      0x48, 0x8d, 0x35, 0, 0, 0, 0, // lea bss(%rip), %rsi
      0xb9, 0,    0,    0, 0,       // mov $length, %ecx
      0x31, 0xff,                   // xor %edi, %edi
      0x80, 0x3e, 0x00,             // 1: cmpb $0, (%rsi)
      0x74, 0x02,                   // je 2f
      0xff, 0xc7,                   // inc %edi
      0xc6, 0x06, 0x55,             // 2: movb $0x55, (%rsi)
      0x48, 0xff, 0xc6,             // inc %rsi
      0xff, 0xc9,                   // dec %ecx
      0x75, 0xef,                   // jne 1b
      0xb8, 60,   0,    0, 0,       // mov $SYS_exit, %eax
      0x0f, 0x05,
  };
  enum { FAR = 1 << 20, FILE_PART = 300, BSS = 3 * PAGE + 77 };
  char path[] = "/dev/shm/bss.XXXXXX";
  static struct {
    struct tiny t;
    char rest[PAGE];
  } f;
  int from = FAR + offsetof(struct tiny, ph) + FILE_PART, at = offsetof(struct tiny, code) + 7, n = BSS;

  memset(f.rest, 'r', sizeof(f.rest)); // in the file behind the data: must not show
  tiny_begin(&f.t, ET_EXEC, 2);
  f.t.ph[0].p_vaddr = 0x10000000;
  f.t.h.e_entry += 0x10000000;
  f.t.ph[1] =
      (Elf64_Phdr){.p_type = PT_LOAD, .p_flags = PF_R | PF_W, .p_offset = offsetof(struct tiny, ph), .p_align = PAGE};
  f.t.ph[1].p_vaddr = 0x10000000 + FAR + offsetof(struct tiny, ph);
  f.t.ph[1].p_filesz = FILE_PART;
  f.t.ph[1].p_memsz = FILE_PART + BSS;
  memcpy(f.t.code, code, sizeof(code));
  from -= at;
  memcpy(f.t.code + 3, &from, 4);
  memcpy(f.t.code + 8, &n, 4);
  tiny_write(path, &f.t, sizeof(f));
  expect_eq(run(path, 0, 0), 0);
  unlink(path);
}

TEST(interpreter) // E10
{
  char path[] = "/dev/shm/prog.XXXXXX", interp[] = "/dev/shm/intp.XXXXXX", missing[] = "/dev/shm/prog.XXXXXX";
  struct tiny t;

  tiny_begin(&t, ET_DYN, 1); // the interpreter: ends with 7
  memcpy(t.code, code_exit, sizeof(code_exit));
  tiny_write(interp, &t, sizeof(t));
  tiny_begin(&t, ET_DYN, 2); // the program: would crash
  t.code[0] = 0xcc;
  memcpy(t.code + 64, interp, sizeof(interp));
  t.ph[1] = t.ph[0];
  t.ph[0] = (Elf64_Phdr){.p_type = PT_INTERP, .p_flags = PF_R, .p_offset = offsetof(struct tiny, code) + 64};
  t.ph[0].p_vaddr = t.ph[0].p_offset;
  t.ph[0].p_filesz = t.ph[0].p_memsz = sizeof(interp);
  tiny_write(path, &t, sizeof(t));
  expect_eq(WEXITSTATUS(run(path, 0, 0)), 7);
  t.code[64 + 9] = '/'; // no such file
  tiny_write(missing, &t, sizeof(t));
  expect_errno(execve(missing, none, none), ENOENT);
  unlink(path);
  unlink(interp);
  unlink(missing);
}

// ---- what this program does as its own child

static int
child_unlink(const char *path, bool replace)
{
  if(replace) {
    char self[64];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if(n < 0)
      return 2;
    self[n] = 0;
    if(rename(path, self) < 0)
      return 3;
  } else if(unlink(path) < 0)
    return 4;
  // Code and data that was not touched before is read now.
  return differing(zeros, sizeof(zeros), 0) != 0 || regions_in(data, 1) != 1 || strlen(data) < 10;
}

int
main(int argc, char **argv)
{
  if(argc >= 3 && strcmp(argv[1], "T_MAPPED") == 0) {
    char *p = (char *)strtoul(argv[2], 0, 16);

    return regions_in(p, 1000 * PAGE) > 2 || touch(LOAD, p + 500 * PAGE) != SIGSEGV;
  }
  if(argc >= 2 && strcmp(argv[1], "T_BSS") == 0)
    return differing(zeros, sizeof(zeros), 0) != 0 || data[0] != 'i';
  if(argc >= 2 && strcmp(argv[1], "T_PAUSE") == 0) {
    need(write(1, "x", 1) == 1);
    for(;;)
      pause();
  }
  if(argc >= 3 && strcmp(argv[1], "T_UNLINK") == 0)
    return child_unlink(argv[2], false);
  if(argc >= 3 && strcmp(argv[1], "T_REPLACE") == 0)
    return child_unlink(argv[2], true);
  return t_main(argc, argv);
}
