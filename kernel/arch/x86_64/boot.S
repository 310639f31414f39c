// boot.S -- from firmware to 64-bit C on the first CPU.
//
// Two ways in, both in 32-bit protected mode without paging and without a stack: PVH (an ELF note; ebx = start info)
// and multiboot2 (a header and the ELF entry; eax = magic, ebx = information). Temporary tables map the first 4 GiB
// at 0, at DIRECT_MAP and (the first GiB) at KERNEL_BASE; boot_memory_init() replaces them. Ends in arch_boot(magic,
// info) with %gs at the boot CPU's block, because the stack protector of every C function reads its canary there.

#include "arch/x86_64/arch.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/x86.h"

#define PHYS(sym) ((sym) - KERNEL_BASE)

#define MULTIBOOT_MAGIC     0xe85250d6
#define MULTIBOOT_LENGTH    (multiboot_end - multiboot_header)
#define PVH_MAGIC           0x336ec578 // what we hand to C; the start info begins with it too
#define NOTE_PHYS32_ENTRY   18
#define BOOT_STACK_SIZE     16384
#define TABLE_SIZE          4096
#define LARGE_PAGE          0x200000
#define GIBS                4
#define DIRECT_SLOT         256 // top-level entry of DIRECT_MAP
#define KERNEL_SLOT         511 // and of KERNEL_BASE
#define KERNEL_GIB          510 // entry in the level below
#define CPUID_EXTENDED      0x80000000
#define CPUID_EXT_FEATURES  0x80000001
#define FEATURE_LM_NX       0x20100000 // edx
#define FEATURE_RDRAND      0x40000000 // ecx of leaf 1
#define UART                0x3f8
#define UART_STATUS         (UART + 5)
#define UART_CAN_SEND       0x20
#define DEBUG_PORT          0xe9
#define DEBUG_EXIT          0xf4 // the emulator's, as in cpu_poweroff
#define DEBUG_EXIT_BAD      0x11
#define ACPI_CONTROL        0x604
#define ACPI_SLEEP_S5       0x2000
#define CPU_GUARD           40 // offset in struct cpu, asserted in cpu.c

        .section .multiboot, "a"
        .balign 8
multiboot_header:
        .long MULTIBOOT_MAGIC
        .long 0
        .long MULTIBOOT_LENGTH
        .long -(MULTIBOOT_MAGIC + MULTIBOOT_LENGTH)
        .word 0, 0 // end tag
        .long 8
multiboot_end:

        .section .note.xen, "a", @note
        .balign 4
        .long 4, 8, NOTE_PHYS32_ENTRY
        .asciz "Xen"
        .quad PHYS(pvh_start)

        .section .text.boot, "ax"
        .code32
        .globl pvh_start, multiboot_start
pvh_start:
        movl $PVH_MAGIC, %eax
multiboot_start:
        cli
        cld
        movl $PHYS(boot_stack_top), %esp
        movl %eax, %ebp
        movl %ebx, %edi

        movl $CPUID_EXTENDED, %eax
        cpuid
        cmpl $CPUID_EXT_FEATURES, %eax
        jb refuse
        movl $CPUID_EXT_FEATURES, %eax
        cpuid
        andl $FEATURE_LM_NX, %edx
        cmpl $FEATURE_LM_NX, %edx
        jne refuse

        // The tables are in .bss and hold zeros: 4 GiB of 2 MiB pages, one table a GiB, the four tables in a row.
        movl $PHYS(boot_gibs), %esi
        movl $(PTE_P | PTE_W | PTE_LARGE), %eax
        xorl %ecx, %ecx
1:      movl %eax, (%esi, %ecx, 8)
        addl $LARGE_PAGE, %eax
        incl %ecx
        cmpl $(GIBS * PTE_COUNT), %ecx
        jb 1b

        movl $PHYS(boot_low), %edx
        leal (PTE_P | PTE_W)(%esi), %eax
        xorl %ecx, %ecx
2:      movl %eax, (%edx, %ecx, 8)
        addl $TABLE_SIZE, %eax
        incl %ecx
        cmpl $GIBS, %ecx
        jb 2b

        leal (PTE_P | PTE_W)(%esi), %eax
        movl %eax, PHYS(boot_high) + KERNEL_GIB * 8
        movl $(PHYS(boot_low) + PTE_P + PTE_W), %eax
        movl %eax, PHYS(boot_pml4)
        movl %eax, PHYS(boot_pml4) + DIRECT_SLOT * 8
        movl $(PHYS(boot_high) + PTE_P + PTE_W), %eax
        movl %eax, PHYS(boot_pml4) + KERNEL_SLOT * 8

        movl $(CR4_PAE), %eax
        movl %eax, %cr4
        movl $PHYS(boot_pml4), %eax
        movl %eax, %cr3
        movl $MSR_EFER, %ecx
        rdmsr
        orl $(EFER_LME | EFER_NXE), %eax
        wrmsr
        movl $(CR0_PG | CR0_WP | CR0_NE | CR0_MP | CR0_PE), %eax
        movl %eax, %cr0
        lgdt PHYS(boot_gdt_pointer)
        ljmpl $SEL_KCODE, $PHYS(boot_long)

        // Say why not, on both consoles, and leave as cpu_poweroff does.
refuse: movl $PHYS(refuse_text), %esi
1:      movb (%esi), %bl
        testb %bl, %bl
        jz 3f
        movl $UART_STATUS, %edx
        movl $PTE_COUNT, %ecx // tries: there may be no UART
2:      inb %dx, %al
        testb $UART_CAN_SEND, %al
        loopz 2b
        movl $UART, %edx
        movb %bl, %al
        outb %al, %dx
        outb %al, $DEBUG_PORT
        incl %esi
        jmp 1b
3:      movl $DEBUG_EXIT_BAD, %eax
        outl %eax, $DEBUG_EXIT
        movl $ACPI_CONTROL, %edx
        movl $ACPI_SLEEP_S5, %eax
        outw %ax, %dx
4:      hlt
        jmp 4b

        .code64
boot_long:
        movq $boot_high_half, %rax // an address above, where the identity map is not needed
        jmpq *%rax
boot_high_half:
        movq $boot_stack_top, %rsp
        movl $SEL_KDATA, %eax
        movl %eax, %ss
        xorl %eax, %eax
        movl %eax, %ds
        movl %eax, %es
        movl %eax, %fs
        movl %eax, %gs

        movl $MSR_GS_BASE, %ecx
        movq $boot_cpu, %rsi
        movl %esi, %eax
        movq %rsi, %rdx
        shrq $32, %rdx
        wrmsr

        // The canary: one for all CPUs, since threads move between them.
        movl $1, %eax
        cpuid
        movl %ecx, %r8d
        rdtsc
        shlq $32, %rdx
        orq %rdx, %rax
        movq $0x9e3779b97f4a7c15, %rdx
        imulq %rdx, %rax
        movq %rax, %rdx
        shrq $32, %rdx
        xorq %rdx, %rax
        testl $FEATURE_RDRAND, %r8d
        jz 1f
        rdrand %rdx
        xorq %rdx, %rax
1:      xorb %al, %al // a zero byte stops string overruns
        movq %rax, CPU_GUARD(%rsi)

        movl %edi, %esi
        movl %ebp, %edi
        xorl %ebp, %ebp
        call arch_boot
        ud2

        .section .rodata.boot, "a"
        .balign 8
boot_gdt:
        .quad 0
        .quad 0x00af9b000000ffff // SEL_KCODE
        .quad 0x00cf93000000ffff // SEL_KDATA
boot_gdt_pointer:
        .word boot_gdt_pointer - boot_gdt - 1
        .long PHYS(boot_gdt)
refuse_text:
        .asciz "lazy6: this CPU has no 64-bit mode, or no no-execute pages: both are needed\r\nlazy6: exit status 1\n"

        .section .bss.boot, "aw", @nobits
        .balign TABLE_SIZE
        .globl boot_tables, boot_tables_end, boot_stack, boot_stack_top
boot_tables:
boot_pml4:
        .skip TABLE_SIZE
boot_low:
        .skip TABLE_SIZE
boot_high:
        .skip TABLE_SIZE
boot_gibs:
        .skip TABLE_SIZE * GIBS
boot_tables_end:
boot_stack:
        .skip BOOT_STACK_SIZE
boot_stack_top:

        .section .note.GNU-stack, "", @progbits
