// entry.S -- every way into the kernel and out of it again, with one frame layout (regs.h).
//
// Who may trust %gs: entries from user mode (saved CS has RPL 3) swap; entries from kernel mode find the kernel's,
// except that an NMI, double fault or machine check may come between SYSCALL and its swapgs, with a program's %gs or
// stack still in place. Those three have stacks of their own (IST) with the CPU's block noted above the frame: they
// take %gs from there, and never return (trap.c panics). A frame from user mode always ends at the top of the
// thread's kernel stack. The CPU aligns the stack to 16 before it pushes, so sizeof(struct regs) = 8 mod 16 tells the
// alignment at every call.

#include "arch/x86_64/arch.h"
#include "arch/x86_64/regs.h"
#include "arch/x86_64/x86.h"

#define CPU_KERNEL_STACK 8 // offsets in struct cpu, asserted in cpu.c
#define CPU_USER_SP      16

#define REGS_R11    48 // offsets in struct regs, asserted in cpu.c
#define REGS_RCX    88
#define REGS_RIP    128
#define REGS_CS     136
#define REGS_RFLAGS 144
#define IST_CPU     (REGS_SIZE + 8) // the block's address above a frame on an IST stack

#define USER_BITS 47 // addresses of programs have no bit from here on

        .macro PUSH_REST // rdi lies on the stack already
        pushq %rsi
        pushq %rdx
        pushq %rcx
        pushq %rax
        pushq %r8
        pushq %r9
        pushq %r10
        pushq %r11
        pushq %rbx
        pushq %rbp
        pushq %r12
        pushq %r13
        pushq %r14
        pushq %r15
        .endm

        .macro POP_ALL
        popq %r15
        popq %r14
        popq %r13
        popq %r12
        popq %rbp
        popq %rbx
        popq %r11
        popq %r10
        popq %r9
        popq %r8
        popq %rax
        popq %rcx
        popq %rdx
        popq %rsi
        popq %rdi
        .endm

        .text

        // Each stub, 16 bytes: orig_rax is the CPU's error code, or 0, or -1 for an interrupt; then rdi, which gets
        // the vector.
        .globl entry_stubs
        .balign 16
entry_stubs:
        .set vector, 0
        .rept 256
        .balign 16
        .if (vector == EXC_DF) || (vector >= EXC_TS && vector <= EXC_PF) || (vector == EXC_AC) || (vector == EXC_CP)
        .elseif vector < EXC_END
        pushq $0
        .else
        pushq $-1
        .endif
        pushq %rdi
        movl $vector, %edi
        .if (vector == EXC_NMI) || (vector == EXC_DF) || (vector == EXC_MC)
        jmp entry_ist
        .else
        jmp entry_trap
        .endif
        .set vector, vector + 1
        .endr

        .balign 16
entry_trap:
        testb $3, REGS_CS - REGS_ORIG_RAX + 8(%rsp)
        jz 1f
        swapgs
        PUSH_REST
        xorl %ebp, %ebp // backtraces end here
        jmp 2f
1:      PUSH_REST
2:      cld
        movl %edi, %esi
        movq %rsp, %rdi
        subq $8, %rsp
        call trap_dispatch // returns with interrupts off
        addq $8, %rsp
        testb $3, REGS_CS(%rsp)
        jz entry_return
entry_return_user:
        POP_ALL
        addq $8, %rsp
        swapgs
        iretq
entry_return:
        POP_ALL
        addq $8, %rsp
        iretq

entry_ist:
        PUSH_REST
        cld
        movl %edi, %ebx
        movl $MSR_GS_BASE, %ecx
        movl IST_CPU(%rsp), %eax
        movl IST_CPU + 4(%rsp), %edx
        wrmsr
        movl %ebx, %esi
        movq %rsp, %rdi
        subq $8, %rsp
        call trap_dispatch
        ud2

        // SYSCALL: rcx = rip, r11 = rflags, the program's rsp, interrupts off by SFMASK.
        .globl entry_syscall
        .balign 16
entry_syscall:
        swapgs
        movq %rsp, %gs:CPU_USER_SP
        movq %gs:CPU_KERNEL_STACK, %rsp
        pushq $SEL_UDATA
        pushq %gs:CPU_USER_SP
        pushq %r11
        pushq $SEL_UCODE
        pushq %rcx
        pushq %rax
        pushq %rdi
        PUSH_REST
        xorl %ebp, %ebp
        movq %rsp, %rdi
        subq $8, %rsp
        call trap_syscall // returns with interrupts off
        addq $8, %rsp

        // SYSRET only if it gives exactly what the frame says, and cannot fault: it would do so in kernel mode.
        movq REGS_RIP(%rsp), %rcx
        cmpq REGS_RCX(%rsp), %rcx
        jne entry_return_user
        shrq $USER_BITS, %rcx
        jnz entry_return_user
        cmpq $SEL_UCODE, REGS_CS(%rsp)
        jne entry_return_user
        movq REGS_RFLAGS(%rsp), %r11
        cmpq REGS_R11(%rsp), %r11
        jne entry_return_user
        testq $(FLAG_RF | FLAG_TF), %r11
        jnz entry_return_user
        POP_ALL
        movq REGS_SIZE - 16 - REGS_ORIG_RAX(%rsp), %rsp
        swapgs
        sysretq

        // void entry_user(struct regs *r) __attribute__((noreturn)): interrupts off, r at the top of the kernel stack.
        .globl entry_user
entry_user:
        movq %rdi, %rsp
        jmp entry_return_user

        .section .note.GNU-stack, "", @progbits
