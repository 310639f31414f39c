// mman.h -- the words of mmap, munmap and msync. They are this interface's own: Linux's numbers are others.
#pragma once
#define PROT_READ  0 // every mapping can be read
#define PROT_WRITE 1 // without it a store ends the program

#define MAP_ANONYMOUS 0 // zeros, the program's own; fd is -1
#define MAP_FILE      1 // the bytes of fd from `offset` on; stores reach the file
#define MAP_FAILED    ((void *)-1)
