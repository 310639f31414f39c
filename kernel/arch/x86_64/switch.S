// switch.S -- exchange two kernel stacks.
//
// void arch_switch(uintptr_t *save_sp, uintptr_t load_sp): what a C function must preserve goes on the old stack, the
// old stack pointer into *save_sp, and the same comes back from the new stack. A thread that has never run looks as
// if it had called arch_switch from the start function that arch_thread_init put there.

        .text
        .globl arch_switch
        .type arch_switch, @function
arch_switch:
        pushq %rbp
        pushq %rbx
        pushq %r12
        pushq %r13
        pushq %r14
        pushq %r15
        movq %rsp, (%rdi)
        movq %rsi, %rsp
        popq %r15
        popq %r14
        popq %r13
        popq %r12
        popq %rbx
        popq %rbp
        ret
        .size arch_switch, . - arch_switch

        .section .note.GNU-stack, "", @progbits
