// big50 -- a program of 50 MiB that returns at once: nearly all of it is a read-only array that nobody looks at.
// With an argument it reads the first MiB of the array, says so with one byte and waits.
#define PAGES 256
  .section .rodata
  .balign 4096
array:
  .fill 50 * 1024 * 256, 4, 0x6c617a79
  .text
  .globl main
main:
  cmp $2, %edi
  jge look
  xor %eax, %eax
  ret
look:
  lea array(%rip), %rbx
  mov $PAGES, %ecx
1:
  mov (%rbx), %al
  add $4096, %rbx
  dec %ecx
  jnz 1b
  mov $1, %edi
  lea array(%rip), %rsi
  mov $1, %edx
  call write
2:
  call pause
  jmp 2b
  .section .note.GNU-stack, "", @progbits
