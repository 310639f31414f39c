// param.h -- xv6's limits. Those marked are kept here; of the others a program may know the names, but nothing is that small.
#pragma once
#define NPROC       64                // processes: kept, see fork
#define MAXARG      32                // arguments of exec: kept
#define KSTACKSIZE  4096              // a kernel stack
#define NCPU        8                 // processors
#define NOFILE      16                // open files of a process
#define NFILE       100               // open files of the system
#define NINODE      50                // i-nodes in memory
#define NDEV        10                // major device numbers
#define ROOTDEV     1                 // where the root is
#define MAXOPBLOCKS 10                // blocks that one file-system call writes
#define LOGSIZE     (MAXOPBLOCKS * 3) // blocks of the log
#define NBUF        (MAXOPBLOCKS * 3) // blocks in memory
#define FSSIZE      1000              // blocks of the disk
