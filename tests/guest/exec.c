// exec.c -- programs: paged in on demand and shared, what they find on their stack, and files that only look like one.
#include <elf.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/auxv.h>
#define T_OWN_MAIN
#include "t.h"

enum {
  KB_MIB = 1024,

  DUMP = 1 << 16,
  BASE = 0x400000,
  CODE_OFF = 0x200,
  IMAGE_MAX = 4 * PAGE
};

static char self[4096], big[4096]; // this program, and big50 beside it

static const char *
tmp(const char *name)
{
  static char path[4][256];
  static int n;

  n = (n + 1) % 4;
  snprintf(path[n], sizeof(path[n]), "/tmp/exec.%d.%s", getpid(), name);
  return path[n];
}

static void
put(const char *path, const void *p, size_t n)
{
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0755);

  need(fd >= 0);
  need(write(fd, p, n) == (ssize_t)n);
  close(fd);
}

// Run a program with standard output (if out is not 0) read into it: wait status, and how much was read in *n.
// -errno if it cannot be executed.
static int
run(const char *path, char *const argv[], char *const envp[], char *out, size_t *n)
{
  int p[2], err[2], status, e = 0;
  size_t size = n ? *n : 0, k = 0;
  ssize_t r;
  pid_t pid;

  need(pipe(p) == 0 && pipe2(err, O_CLOEXEC) == 0);
  pid = fork();
  need(pid >= 0);
  if(pid == 0) {
    struct rlimit no = {0, 0};

    setrlimit(RLIMIT_CORE, &no);
    dup2(p[1], 1);
    close(p[0]);
    close(p[1]);
    alarm(20);
    execve(path, argv, envp);
    e = errno;
    (void)!write(err[1], &e, sizeof(e));
    _exit(127);
  }
  close(p[1]);
  close(err[1]);
  if(read(err[0], &e, sizeof(e)) != sizeof(e))
    e = 0;
  while(out && k < size && (r = read(p[0], out + k, size - k)) > 0)
    k += r;
  close(p[0]);
  close(err[0]);
  need(waitpid(pid, &status, 0) == pid);
  if(n)
    *n = k;
  return e ? -e : status;
}

static int
simply(const char *path)
{
  char *argv[] = {(char *)path, 0}, *envp[] = {0};

  return run(path, argv, envp, 0, 0);
}

// ---- small programs, made here byte by byte

// Writes its stack pointer and the stack from there on to standard output, and ends with status 0.
static const unsigned char dump_code[] = {
    0x48, 0x89, 0xe3,                               // mov %rsp, %rbx
    0x53,                                           // push %rbx
    0xb8, 1,    0,    0,  0,                        // mov $1, %eax (write)
    0xbf, 1,    0,    0,  0,                        // mov $1, %edi
    0x48, 0x89, 0xe6,                               // mov %rsp, %rsi
    0xba, 8,    0,    0,  0,                        // mov $8, %edx
    0x0f, 0x05,                                     // syscall
    0xb8, 1,    0,    0,  0,                        // 1: mov $1, %eax
    0x48, 0x89, 0xde,                               // mov %rbx, %rsi
    0xba, 16,   0,    0,  0,                        // mov $16, %edx
    0x0f, 0x05,                                     // syscall
    0x48, 0x83, 0xc3, 16,                           // add $16, %rbx
    0x83, 0xf8, 16,                                 // cmp $16, %eax
    0x74, 0xe8,                                     // je 1b
    0xb8, 60,   0,    0,  0, 0x31, 0xff, 0x0f, 0x05 // exit(0)
};

struct image {
  union {
    unsigned char bytes[IMAGE_MAX];
    struct {
      Elf64_Ehdr h;
      Elf64_Phdr ph[7]; // ends before CODE_OFF
    };
  };
  size_t size;
};

static void
code_exit(struct image *im, int status)
{
  const unsigned char code[] = {0xbf, status, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05}; // exit(status)

  memcpy(im->bytes + CODE_OFF, code, sizeof(code));
}

// One segment with everything, its code from CODE_OFF on: exit(status).
static void
image_make(struct image *im, int type, int status)
{
  memset(im, 0, sizeof(*im));
  memcpy(im->h.e_ident, ELFMAG, SELFMAG);
  im->h.e_ident[EI_CLASS] = ELFCLASS64;
  im->h.e_ident[EI_DATA] = ELFDATA2LSB;
  im->h.e_ident[EI_VERSION] = EV_CURRENT;
  im->h.e_type = type;
  im->h.e_machine = EM_X86_64;
  im->h.e_version = EV_CURRENT;
  im->h.e_entry = (type == ET_EXEC ? BASE : 0) + CODE_OFF;
  im->h.e_phoff = sizeof(im->h);
  im->h.e_ehsize = sizeof(im->h);
  im->h.e_phentsize = sizeof(im->ph[0]);
  im->h.e_phnum = 1;
  im->ph[0] = (Elf64_Phdr){.p_type = PT_LOAD,
                           .p_flags = PF_R | PF_X,
                           .p_vaddr = type == ET_EXEC ? BASE : 0,
                           .p_filesz = PAGE,
                           .p_memsz = PAGE,
                           .p_align = PAGE};
  im->size = PAGE;
  code_exit(im, status);
}

static int
image_run(struct image *im)
{
  const char *path = tmp("image");
  int r;

  put(path, im->bytes, im->size);
  r = simply(path);
  unlink(path);
  return r;
}

// The file as it is must be refused with one of these, or end by a signal where `deadly`; nothing else may happen.
#define refused(im, deadly, ...) refused_at(__LINE__, im, deadly, (const int[]){__VA_ARGS__, 0})
static void
refused_at(int line, struct image *im, bool deadly, const int *errs)
{
  int r = image_run(im);

  for(; *errs; errs++)
    if(r == -*errs)
      return;
  if(!(deadly && r > 0 && WIFSIGNALED(r)))
    t_fail(__FILE__, line, "a bad program: %d", r);
}

TEST(images_made_here_run)
{
  struct image im;

  for(int type = ET_EXEC; type <= ET_DYN; type++) {
    image_make(&im, type, 40 + type);
    expect_eq(image_run(&im), (40 + type) << 8);
  }
}

// ---- lazily

static char *const no_args[] = {big, 0}, *const look_args[] = {big, "look", 0}, *const no_env[] = {0};

TEST(big_program_is_paged_on_demand) // E02
{
  long cached = proc_figure("/proc/meminfo", "Cached"), grown;
  struct rusage ru;

  need(access(big, X_OK) == 0);
  expect_eq(run(big, no_args, no_env, 0, 0), 0);
  grown = proc_figure("/proc/meminfo", "Cached") - cached;
  need(getrusage(RUSAGE_CHILDREN, &ru) == 0);
  expect(ru.ru_majflt < 64);
  expect(ru.ru_maxrss < 8 * KB_MIB);
  if(here())
    expect(grown < 4 * KB_MIB); // of 50
}

static pid_t
start_looking(void)
{
  int p[2];
  char c;
  pid_t pid;

  need(pipe(p) == 0);
  pid = fork();
  need(pid >= 0);
  if(pid == 0) {
    dup2(p[1], 1);
    close(p[0]);
    close(p[1]);
    execve(big, look_args, no_env);
    _exit(127);
  }
  close(p[1]);
  need(read(p[0], &c, 1) == 1 && c == 'y');
  close(p[0]);
  return pid;
}

// Sum of the `key` lines in a process's smaps, in KiB.
static long
smaps_sum(pid_t pid, const char *key)
{
  char path[64], line[512];
  long sum = 0, v;
  FILE *f;

  snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
  f = fopen(path, "r");
  need(f);
  while(fgets(line, sizeof(line), f))
    if(strncmp(line, key, strlen(key)) == 0 && sscanf(line + strlen(key), "%ld", &v) == 1)
      sum += v;
  fclose(f);
  return sum;
}

TEST(two_copies_share_their_text)
{
  pid_t one = start_looking(), two;
  long before = proc_figure("/proc/meminfo", "MemFree"), used;

  two = start_looking();
  used = before - proc_figure("/proc/meminfo", "MemFree");
  if(here()) { // some Linuxes do not count it
    expect(smaps_sum(one, "Shared_Clean:") >= KB_MIB);
    expect(smaps_sum(two, "Shared_Clean:") >= KB_MIB);
  }
  expect(smaps_sum(two, "Private_Clean:") < KB_MIB / 4);
  expect(smaps_sum(two, "Private_Dirty:") < KB_MIB / 4);
  if(here()) // the second copy: page tables, a stack, some data
    expect(used < KB_MIB / 2);
  kill(one, SIGKILL);
  kill(two, SIGKILL);
  while(wait(0) > 0)
    ;
}

// ---- what a program finds

struct found { // the stack as a new program saw it
  uint64_t sp, argc;
  const char *stack;
  size_t size;
  uint64_t *argv, *envp, aux[64]; // by type
  bool has[64];
};

static const char *
at(struct found *f, uint64_t va)
{
  static const char none[64];

  return va >= f->sp && va < f->sp + f->size ? f->stack + (va - f->sp) : none;
}

static void
look(struct found *f, struct image *im, char *const argv[], char *const envp[], const char *path)
{
  static char buf[DUMP];
  size_t n = sizeof(buf);
  uint64_t *p;

  put(path, im->bytes, im->size);
  expect_eq(run(path, argv, envp, buf, &n), 0);
  need(n > 64);
  memset(f, 0, sizeof(*f));
  memcpy(&f->sp, buf, 8);
  f->stack = buf + 8;
  f->size = n - 8;
  p = (uint64_t *)f->stack;
  f->argc = *p++;
  f->argv = p;
  for(p += f->argc + 1, f->envp = p; *p; p++)
    ;
  for(p++; p[0]; p += 2)
    if(p[0] < 64) {
      f->aux[p[0]] = p[1];
      f->has[p[0]] = true;
    }
}

TEST(arguments_and_environment_are_exact)
{
  static char longest[100000];
  char *argv[] = {"zero", "", "two words", longest, "\xff\x01", 0},
       *envp[] = {"A=1", "EMPTY=", "no equals sign", "A=2", 0};
  struct found f;
  struct image im;

  memset(longest, 'x', 3000);
  image_make(&im, ET_EXEC, 0);
  memcpy(im.bytes + CODE_OFF, dump_code, sizeof(dump_code));
  look(&f, &im, argv, envp, tmp("args"));
  expect_eq(f.argc, 5);
  for(int i = 0; i < 5; i++)
    expect(strcmp(at(&f, f.argv[i]), argv[i]) == 0);
  expect_eq(f.argv[5], 0);
  for(int i = 0; i < 4; i++)
    expect(strcmp(at(&f, f.envp[i]), envp[i]) == 0);
  expect_eq(f.envp[4], 0);
  expect_eq(f.sp % 16, 0);
  unlink(tmp("args"));
}

TEST(auxiliary_vector) // E09
{
  char *argv[] = {"prog", 0}, *envp[] = {0};
  const char *path = tmp("auxv");
  struct found f;
  struct image im;

  for(int type = ET_EXEC; type <= ET_DYN; type++) {
    uint64_t base;

    image_make(&im, type, 0);
    memcpy(im.bytes + CODE_OFF, dump_code, sizeof(dump_code));
    look(&f, &im, argv, envp, path);
    base = f.aux[AT_ENTRY] - CODE_OFF;
    if(type == ET_EXEC)
      expect_eq(base, BASE);
    expect_eq(base % PAGE, 0);
    expect_eq(f.aux[AT_PHDR], base + sizeof(Elf64_Ehdr));
    expect_eq(f.aux[AT_PHENT], sizeof(Elf64_Phdr));
    expect_eq(f.aux[AT_PHNUM], 1);
    expect_eq(f.aux[AT_PAGESZ], PAGE);
    expect_eq(f.aux[AT_CLKTCK], 100);
    expect_eq(f.aux[AT_UID], getuid());
    expect_eq(f.aux[AT_EUID], geteuid());
    expect_eq(f.aux[AT_GID], getgid());
    expect_eq(f.aux[AT_EGID], getegid());
    expect_eq(f.aux[AT_SECURE], 0);
    expect_eq(f.aux[AT_FLAGS], 0);
    expect(f.has[AT_BASE] && f.aux[AT_BASE] == 0);
    expect(f.has[AT_HWCAP] && f.aux[AT_HWCAP] == getauxval(AT_HWCAP));
    expect(strcmp(at(&f, f.aux[AT_EXECFN]), path) == 0);
    expect(strcmp(at(&f, f.aux[AT_PLATFORM]), "x86_64") == 0);
    expect(f.aux[AT_RANDOM] > f.sp && f.aux[AT_RANDOM] + 16 <= f.sp + f.size);
    expect(memcmp(at(&f, f.aux[AT_RANDOM]), &(char[16]){0}, 16) != 0);
  }
  unlink(path);
}

TEST(random_bytes_differ_and_the_stack_moves)
{
  char *argv[] = {"p", 0}, *envp[] = {0}, first[16];
  const char *path = tmp("random");
  uint64_t sp, entry;
  struct found f;
  struct image im;

  image_make(&im, ET_DYN, 0);
  memcpy(im.bytes + CODE_OFF, dump_code, sizeof(dump_code));
  look(&f, &im, argv, envp, path);
  memcpy(first, at(&f, f.aux[AT_RANDOM]), 16);
  sp = f.sp;
  entry = f.aux[AT_ENTRY];
  look(&f, &im, argv, envp, path);
  expect(memcmp(first, at(&f, f.aux[AT_RANDOM]), 16) != 0);
  expect(sp != f.sp);
  expect(entry != f.aux[AT_ENTRY]);
  unlink(path);
}

// A program with PT_INTERP: its interpreter begins, AT_BASE and AT_ENTRY say where both are.
static void
with_interp(struct image *im, const char *interp)
{
  im->h.e_phnum = 2;
  im->ph[1] = im->ph[0];
  im->ph[0] =
      (Elf64_Phdr){.p_type = PT_INTERP, .p_offset = CODE_OFF + 0x100, .p_filesz = strlen(interp) + 1, .p_memsz = 1};
  strcpy((char *)im->bytes + CODE_OFF + 0x100, interp);
}

TEST(interpreter) // E10
{
  char *argv[] = {"p", 0}, *envp[] = {0}, interp[256];
  const char *path = tmp("main");
  struct found f;
  struct image im;

  strcpy(interp, tmp("interp"));
  for(int type = ET_EXEC; type <= ET_DYN; type++) {
    image_make(&im, ET_DYN, 0);
    memcpy(im.bytes + CODE_OFF, dump_code, sizeof(dump_code));
    put(interp, im.bytes, im.size);
    image_make(&im, type, 3);
    with_interp(&im, interp);
    look(&f, &im, argv, envp, path);
    expect(f.aux[AT_BASE] != 0 && f.aux[AT_BASE] % PAGE == 0);
    expect_eq(f.aux[AT_PHNUM], 2);
    expect_eq(f.aux[AT_ENTRY] - f.aux[AT_PHDR], CODE_OFF - sizeof(Elf64_Ehdr));
    expect(f.aux[AT_ENTRY] - f.aux[AT_BASE] != CODE_OFF);
  }
  unlink(interp);
  unlink(path);
}

// Code that ends with status 1 unless the byte at `va` is 0: cmpb $0, va; setne %dil; exit.
static void
code_check(struct image *im, uint32_t va)
{
  unsigned char code[] = {0x31, 0xff, 0x80, 0x3c, 0x25, 0, 0, 0, 0,    0,   0x40,
                          0x0f, 0x95, 0xc7, 0xb8, 60,   0, 0, 0, 0x0f, 0x05};

  memcpy(code + 5, &va, 4);
  memcpy(im->bytes + CODE_OFF, code, sizeof(code));
}

TEST(uninitialized_data_is_zero_to_the_byte) // E02
{
  struct image im;

  for(uint32_t end = 1; end < PAGE; end += 1 + end / 3) { // data ends `end` bytes into its page; the file goes on
    const uint32_t data = BASE + 0x10000, at[] = {end, PAGE - 1, PAGE, 2 * PAGE - 1};

    for(int k = 0; k < 4; k++) {
      image_make(&im, ET_EXEC, 0);
      im.h.e_phnum = 2;
      im.ph[1] = (Elf64_Phdr){.p_type = PT_LOAD,
                              .p_flags = PF_R | PF_W,
                              .p_offset = PAGE,
                              .p_vaddr = data,
                              .p_filesz = end,
                              .p_memsz = 2 * PAGE,
                              .p_align = PAGE};
      memset(im.bytes + PAGE, 0xee, 2 * PAGE);
      im.size = 3 * PAGE;
      code_check(&im, data + at[k]);
      expect_eq(image_run(&im), 0);
      code_check(&im, data + end - 1);
      expect_eq(image_run(&im), 1 << 8);
    }
  }
}

TEST(segments_begin_anywhere_on_a_page)
{
  struct image im;

  for(uint32_t off = 0; off < PAGE; off += 333) {
    image_make(&im, ET_EXEC, 0);
    im.h.e_phnum = 3;
    im.ph[1] = (Elf64_Phdr){.p_type = PT_LOAD,
                            .p_flags = PF_R | PF_W,
                            .p_offset = PAGE + off,
                            .p_vaddr = BASE + 0x10000 + off,
                            .p_filesz = 10,
                            .p_memsz = 10000,
                            .p_align = PAGE};
    im.ph[2] =
        (Elf64_Phdr){.p_type = PT_LOAD, .p_flags = PF_R | PF_W, .p_vaddr = BASE + 0x20000 + off, .p_memsz = 5000};
    memset(im.bytes + PAGE, 0xee, PAGE);
    im.size = 2 * PAGE;
    code_check(&im, im.ph[1].p_vaddr + 9);
    expect_eq(image_run(&im), off + 10 <= PAGE ? 1 << 8 : 0);
    code_check(&im, im.ph[1].p_vaddr + 9999);
    expect_eq(image_run(&im), 0);
    code_check(&im, im.ph[2].p_vaddr + 4999);
    expect_eq(image_run(&im), 0);
  }
}

// ---- the file behind a program

TEST(proc_self_exe_and_cmdline)
{
  char *argv[] = {"odd name", "--say", 0}, *envp[] = {"X=1", 0}, buf[8192];
  size_t n = sizeof(buf) - 1;

  expect_eq(run(self, argv, envp, buf, &n), 0);
  buf[n] = 0;
  expect(strncmp(buf, self, strlen(self)) == 0);
  expect(strstr(buf, "|odd name|--say|") != 0);
  expect(strstr(buf, "|X=1|") != 0);
}

TEST(running_file_cannot_be_written_and_can_be_replaced) // E03 E08
{
  const char *path = tmp("run"), *other = tmp("other");
  struct image im;
  int p[2], status;
  char c;
  pid_t pid;

  image_make(&im, ET_EXEC, 9);
  // read(0, sp, 1) before exit(9): mov $0 regs
  memcpy(im.bytes + CODE_OFF, (unsigned char[]){0x31, 0xc0, 0x31, 0xff, 0x48, 0x89, 0xe6, 0xba, 1, 0, 0, 0,    0x0f,
                                                0x05, 0xbf, 9,    0,    0,    0,    0xb8, 60,   0, 0, 0, 0x0f, 0x05},
         26);
  put(path, im.bytes, im.size);
  need(pipe(p) == 0);
  pid = fork();
  if(pid == 0) {
    dup2(p[0], 0);
    close(p[1]);
    do
      execl(path, path, NULL);
    while(errno == ETXTBSY); // our parent has just tried whether it may write
    _exit(1);
  }
  for(int i = 0; i < 400; i++) {
    int fd = open(path, O_WRONLY);

    if(fd < 0)
      break;
    close(fd);
    usleep(5000);
  }
  expect_errno(open(path, O_WRONLY), ETXTBSY);
  expect_errno(truncate(path, 0), ETXTBSY);
  put(other, "#!/bin/sh\nexit 4\n", 17);
  expect_eq(rename(other, path), 0);
  expect_eq(simply(path), 4 << 8);
  unlink(path);
  c = 0;
  need(write(p[1], &c, 1) == 1);
  need(waitpid(pid, &status, 0) == pid);
  expect_eq(status, 9 << 8);
}

TEST(file_open_for_writing_is_busy) // E03
{
  const char *path = tmp("busy");
  struct image im;
  int fd;

  image_make(&im, ET_EXEC, 0);
  put(path, im.bytes, im.size);
  fd = open(path, O_RDWR);
  need(fd >= 0);
  expect_eq(simply(path), -ETXTBSY);
  close(fd);
  expect_eq(simply(path), 0);
  unlink(path);
}

// ---- files that only look like programs

TEST(what_is_not_a_program)
{
  const char *path = tmp("not");

  put(path, "", 0);
  expect_eq(simply(path), -ENOEXEC);
  put(path, "hello world", 11);
  expect_eq(simply(path), -ENOEXEC);
  put(path, "#!\n", 3);
  expect_eq(simply(path), -ENOEXEC);
  put(path, "#!/nonexistent\n", 15);
  expect_eq(simply(path), -ENOENT);
  put(path, "#!/tmp\n", 7);
  expect_eq(simply(path), -EACCES);
  put(path, ELFMAG, SELFMAG);
  expect_eq(simply(path), -ENOEXEC);
  chmod(path, 0644);
  expect_eq(simply(path), -EACCES);
  unlink(path);
  expect_eq(simply(path), -ENOENT);
  expect_eq(simply("/tmp"), -EACCES);
  expect_eq(simply("/dev/null"), -EACCES);
  expect_eq(simply(""), -ENOENT);
}

TEST(truncated_at_every_byte_of_its_headers)
{
  struct image im;
  size_t end = sizeof(im.h) + sizeof(im.ph[0]);

  for(size_t n = 0; n < end; n++) {
    image_make(&im, ET_EXEC, 0);
    im.size = n;
    expect_eq(image_run(&im), -ENOEXEC);
  }
}

TEST(another_machine_or_kind)
{
  struct image im;

#define bad_header(change)                                                                                             \
  do {                                                                                                                 \
    image_make(&im, ET_EXEC, 0);                                                                                       \
    im.h.change;                                                                                                       \
    expect_eq(image_run(&im), -ENOEXEC);                                                                               \
  } while(0)
  bad_header(e_machine = EM_AARCH64);
  bad_header(e_machine = 0xffff);
  bad_header(e_ident[0] = 0);
  bad_header(e_type = ET_REL);
  bad_header(e_type = ET_CORE);
  bad_header(e_type = 0);
  bad_header(e_phentsize = 0);
  bad_header(e_phentsize = sizeof(Elf64_Phdr) + 8);
  bad_header(e_phnum = 0);
}

TEST(another_class) // Linux does not look at it
{
  struct image im;
  int r;

  image_make(&im, ET_EXEC, 0);
  im.h.e_ident[EI_CLASS] = ELFCLASS32;
  r = image_run(&im);
  expect(r == -ENOEXEC || (r == 0 && !here()));
}

TEST(hostile_headers)
{
  struct image im;

#define hostile(change, ...)                                                                                           \
  do {                                                                                                                 \
    image_make(&im, ET_EXEC, 0);                                                                                       \
    im.change;                                                                                                         \
    refused(&im, true, ENOEXEC, ENOMEM, EINVAL, EIO, ##__VA_ARGS__);                                                   \
  } while(0)
  hostile(h.e_phnum = 65535);
  hostile(h.e_phnum = 1000);
  hostile(h.e_phoff = ~0ull);
  hostile(h.e_phoff = ~0ull - 20);
  hostile(h.e_phoff = 1ull << 63);
  hostile(h.e_phoff = PAGE - 8);
  hostile(h.e_entry = 0xffffffff80000000);
  hostile(h.e_entry = 0x7ffffffff000);
  hostile(h.e_entry = 0x800000000000);
  hostile(h.e_entry = 0x8000000000000000);
  hostile(h.e_entry = 0);
  hostile(ph[0].p_type = PT_NULL);
  hostile(ph[0].p_memsz = 1);
  hostile(ph[0].p_memsz = ~0ull);
  hostile(ph[0].p_memsz = 1ull << 63);
  hostile(ph[0].p_memsz = 1ull << 47);
  hostile(ph[0].p_filesz = ~0ull);
  hostile(ph[0].p_filesz = 1ull << 46);
  hostile(ph[0].p_offset = ~0ull);
  hostile(ph[0].p_offset = 1);
  hostile(ph[0].p_offset = 1ull << 63);
  hostile(ph[0].p_vaddr = BASE + 1);
  hostile(ph[0].p_vaddr = ~0ull - PAGE + 1);
  hostile(ph[0].p_vaddr = 0x7ffffffff000);
  hostile(ph[0].p_vaddr = 0x800000000000);
  hostile(ph[0].p_vaddr = 0xffff800000000000);
  hostile(ph[0].p_flags = 0);
}

TEST(file_shorter_than_its_segment)
{
  struct image im;

  image_make(&im, ET_EXEC, 0);
  im.ph[0].p_filesz = im.ph[0].p_memsz = 100 * PAGE;
  im.h.e_entry = BASE + 50 * PAGE; // beyond the end: SIGBUS, or refused
  refused(&im, true, ENOEXEC);
}

TEST(overlapping_segments)
{
  struct image im;
  int r;

  for(int shift = -PAGE; shift <= PAGE; shift += PAGE / 2) {
    image_make(&im, ET_EXEC, 0);
    im.h.e_phnum = 2;
    im.ph[1] = im.ph[0];
    im.ph[1].p_vaddr += shift;
    im.ph[1].p_offset += shift & (PAGE - 1);
    r = image_run(&im);
    expect(r == 0 || r == -ENOEXEC || r == -EINVAL || r == -ENOMEM || WIFSIGNALED(r));
  }
}

TEST(every_byte_of_the_headers_at_its_extremes)
{
  struct image im;
  size_t end = sizeof(im.h) + 2 * sizeof(im.ph[0]);
  static const unsigned char values[] = {0xff, 0x80, 0x7f, 1};

  for(size_t i = 0; i < end; i++)
    for(size_t k = 0; k < sizeof(values); k++) {
      int r;

      image_make(&im, i & 1 ? ET_EXEC : ET_DYN, 0);
      with_interp(&im, "/nonexistent");
      im.bytes[i] ^= values[k];
      r = image_run(&im);
      if(!(r > 0 && WIFSIGNALED(r)) && r != -ENOEXEC && r != -ENOENT && r != -EINVAL && r != -ENOMEM && r != -EIO &&
         r != -EFAULT && r != -EACCES && r != -ELIBBAD && r != 0)
        t_fail(__FILE__, __LINE__, "byte %zu ^ %#x: %d", i, values[k], r);
    }
}

TEST(bad_interpreters)
{
  char interp[256];
  struct image im, in;
  int r;

#define bad_interp(...)                                                                                                \
  do {                                                                                                                 \
    put(interp, in.bytes, in.size);                                                                                    \
    image_make(&im, ET_DYN, 0);                                                                                        \
    with_interp(&im, interp);                                                                                          \
    refused(&im, true, __VA_ARGS__);                                                                                   \
  } while(0)
  strcpy(interp, tmp("interp"));
  image_make(&im, ET_EXEC, 0);
  with_interp(&im, "/nonexistent/ld.so");
  refused(&im, false, ENOENT);
  image_make(&im, ET_EXEC, 0);
  with_interp(&im, "");
  refused(&im, false, ENOEXEC, ENOENT, EACCES);
  image_make(&im, ET_EXEC, 0);
  with_interp(&im, "/tmp");
  refused(&im, false, EACCES);
  image_make(&im, ET_EXEC, 0);
  with_interp(&im, "/dev/zero");
  refused(&im, false, EACCES);
  image_make(&in, ET_DYN, 0);
  memset(in.bytes, 'x', 100);
  bad_interp(ELIBBAD);
  in.size = 10;
  bad_interp(ELIBBAD, EIO);
  in.size = 0;
  bad_interp(ELIBBAD, EIO);
  image_make(&in, ET_DYN, 0);
  in.h.e_machine = EM_386;
  bad_interp(ELIBBAD);
  image_make(&in, ET_DYN, 0);
  in.ph[0].p_memsz = 1ull << 60;
  bad_interp(ELIBBAD, ENOMEM, EINVAL, ENOEXEC);
  image_make(&in, ET_EXEC, 0); // where the program itself lies
  image_make(&im, ET_EXEC, 0);
  with_interp(&im, interp);
  put(interp, in.bytes, in.size);
  r = image_run(&im); // Linux lays it over the program
  expect(r == 0 || r == -ENOMEM || r == -EINVAL || r == -ENOEXEC || r == -ELIBBAD || r == -EEXIST);
  image_make(&im, ET_EXEC, 0); // without its NUL, or beyond the file
  with_interp(&im, interp);
  im.ph[0].p_filesz--;
  refused(&im, false, ENOEXEC);
  im.ph[0].p_filesz = 1ull << 40;
  refused(&im, false, ENOEXEC);
  im.ph[0].p_filesz = 10;
  im.ph[0].p_offset = PAGE;
  refused(&im, false, ENOEXEC, EIO);
  unlink(interp);
}

TEST(interpreter_that_names_an_interpreter)
{
  char interp[256];
  struct image im;

  strcpy(interp, tmp("interp"));
  image_make(&im, ET_DYN, 21);
  with_interp(&im, interp); // its own: not followed
  put(interp, im.bytes, im.size);
  image_make(&im, ET_EXEC, 3);
  with_interp(&im, interp);
  expect_eq(image_run(&im), 21 << 8);
  expect_eq(simply(interp), 21 << 8);
  unlink(interp);
}

TEST(scripts_that_name_each_other)
{
  char a[256], b[256], text[300];

  strcpy(a, tmp("a"));
  strcpy(b, tmp("b"));
  put(a, text, snprintf(text, sizeof(text), "#!%s\n", b));
  put(b, text, snprintf(text, sizeof(text), "#!%s\n", a));
  expect_eq(simply(a), -ELOOP);
  unlink(a);
  unlink(b);
}

// ---- this program as a child

static int
say(int argc, char **argv)
{
  extern char **environ;
  char exe[4096];
  ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

  exe[n < 0 ? 0 : n] = 0;
  printf("%s|", exe);
  for(int i = 0; i < argc; i++)
    printf("%s|", argv[i]);
  for(int i = 0; environ[i]; i++)
    printf("%s|", environ[i]);
  return 0;
}

int
main(int argc, char **argv)
{
  char *slash;

  if(argc == 2 && strcmp(argv[1], "--say") == 0)
    return say(argc, argv);
  need(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
  strcpy(big, self);
  slash = strrchr(big, '/');
  strcpy(slash + 1, "big50");
  return t_main(argc, argv);
}
