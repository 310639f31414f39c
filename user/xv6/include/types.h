// types.h -- the short names of xv6's integers.
#pragma once
typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long ulong;
typedef uint pde_t; // of a machine with 32 bits: here only so that a declaration compiles
