// usys.S -- into the kernel and into main. A call's number goes into eax, its arguments into rdi rsi rdx r10 r8 r9, and
// `syscall` takes the place of xv6's `int $T_SYSCALL`. A result from -4095 to -1 is an error's number.
#define SYSCALL(name, number) \
  .globl name;                \
  name:                       \
    movl $number, %eax;       \
    syscall;                  \
    cmpq $-4096, %rax;        \
    jbe 1f;                   \
    movq $-1, %rax;           \
  1: ret

// These four mean the same to Linux and to xv6; sys.c has the rest.
SYSCALL(close, 3)
SYSCALL(pipe, 22)
SYSCALL(dup, 32)
SYSCALL(getpid, 39)

// long __call(long number, ...): any call, its result as it is.
.globl __call
__call:
  movq %rdi, %rax
  movq %rsi, %rdi
  movq %rdx, %rsi
  movq %rcx, %rdx
  movq %r8, %r10
  movq %r9, %r8
  movq 8(%rsp), %r9
  syscall
  ret

// The kernel starts a program with argc, argv[] and the environment on its stack.
.globl _start
_start:
  xorl %ebp, %ebp
  movq %rsp, %rdi
  andq $-16, %rsp
  call __start

// Where a signal handler returns to.
.globl __sigreturn
__sigreturn:
  movl $15, %eax
  syscall

// The compiler's own, for copying structures. A program may have another.
.weak memcpy
memcpy:
  movq %rdi, %rax
  movq %rdx, %rcx
  rep movsb
  ret

.section .note.GNU-stack, "", @progbits
