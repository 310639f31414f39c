// apboot.S -- from real mode to 64-bit C on the other CPUs.
//
// smp.c copies [ap_boot_start, ap_boot_end) to AP_BOOT_PAGE, fills the four parameters in the copy (each at its
// label's distance from ap_boot_start) and sends INIT and SIPI, one CPU at a time. The CPU ends in ap_boot_entry(cpu)
// with %gs at its struct cpu, on its stack, on the table ap_boot_cr3 (below 4 GiB, with this page mapped at its own
// address, as boot_kernel_pml4() is). Position matters, nothing here may refer to another section.

#include "arch/x86_64/arch.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/x86.h"

#define AT(sym)     ((sym) - ap_boot_start + AP_BOOT_PAGE)
#define SEL_KCODE32 0x18 // only in the table below

        .section .rodata.apboot, "a"
        .globl ap_boot_start, ap_boot_end, ap_boot_cr3, ap_boot_stack, ap_boot_entry, ap_boot_cpu
        .balign 16
        .code16
ap_boot_start:
        cli
        cld
        xorl %eax, %eax
        movw %ax, %ds
        lgdtl AT(ap_gdt_pointer)
        movl $(CR0_PE | CR0_NE), %eax
        movl %eax, %cr0
        ljmpl $SEL_KCODE32, $AT(ap_protected)

        .code32
ap_protected:
        movl $SEL_KDATA, %eax
        movl %eax, %ds
        movl %eax, %ss
        movl $CR4_PAE, %eax
        movl %eax, %cr4
        movl AT(ap_boot_cr3), %eax
        movl %eax, %cr3
        movl $MSR_EFER, %ecx
        rdmsr
        orl $(EFER_LME | EFER_NXE), %eax
        wrmsr
        movl $(CR0_PG | CR0_WP | CR0_NE | CR0_MP | CR0_PE), %eax
        movl %eax, %cr0
        ljmpl $SEL_KCODE, $AT(ap_long)

        .code64
ap_long:
        xorl %eax, %eax
        movl %eax, %ds
        movl %eax, %es
        movl %eax, %fs
        movl %eax, %gs
        movq AT(ap_boot_stack), %rsp
        movq AT(ap_boot_cpu), %rdi
        movl $MSR_GS_BASE, %ecx
        movl %edi, %eax
        movq %rdi, %rdx
        shrq $32, %rdx
        wrmsr
        movq AT(ap_boot_entry), %rax
        xorl %ebp, %ebp
        callq *%rax
        ud2

        .balign 8
ap_gdt:
        .quad 0
        .quad 0x00af9b000000ffff // SEL_KCODE
        .quad 0x00cf93000000ffff // SEL_KDATA
        .quad 0x00cf9b000000ffff // SEL_KCODE32
ap_gdt_pointer:
        .word ap_gdt_pointer - ap_gdt - 1
        .long AT(ap_gdt)
        .balign 8
ap_boot_cr3:
        .quad 0
ap_boot_stack:
        .quad 0
ap_boot_entry:
        .quad 0
ap_boot_cpu:
        .quad 0
ap_boot_end:

        .section .note.GNU-stack, "", @progbits
