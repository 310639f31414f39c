// traps.h -- what the processor reports, by number, and the number that xv6's system calls had.
#pragma once
enum { T_DIVIDE, T_DEBUG, T_NMI, T_BRKPT, T_OFLOW, T_BOUND, T_ILLOP, T_DEVICE, T_DBLFLT, T_TSS = 10, T_SEGNP, T_STACK };
enum { T_GPFLT = 13, T_PGFLT, T_FPERR = 16, T_ALIGN, T_MCHK, T_SIMDERR, T_SYSCALL = 64, T_DEFAULT = 500, T_IRQ0 = 32 };
enum { IRQ_TIMER, IRQ_KBD, IRQ_COM1 = 4, IRQ_IDE = 14, IRQ_ERROR = 19, IRQ_SPURIOUS = 31 };
