// disk_world.h -- an ext3 that mke2fs made, on a disk in memory that is written; afterwards e2fsck says what it is worth.
// Typical: disk_format("small", "-N 512", "12M") / disk_mount() / calls with root_ctx / disk_unmount() / disk_check("...").
// Link it with fake_disk.c, hosttree.c, vfs_fakes.c and -Wl,--wrap=journal_start: with FAKE_SINGLE nobody would run the
// journal's thread, so whoever waits for it does its work.
#pragma once
#include "fake_disk.h"
#include "fs/ext3/ext3.h"

extern struct fake_disk disk;
extern struct fs *disk_fs;  // mounted; 0
extern char disk_said[256]; // what the kernel printed last
// Fresh contents: the image that mke2fs makes with these words, without lost+found; made once for each name.
// false: the tools are missing, and the test has failed.
bool disk_format(const char *name, const char *options, const char *size);
int disk_mount(void); // at the root of root_ctx and user_ctx. 0 or -E
// Gives all back; the test fails if anything is left: inodes, frames, metadata blocks.
void disk_unmount(void);
// e2fsck finds nothing to mend; `what` tells where we are if it does.
bool disk_check(const char *what);
void disk_save(const char *path); // the image as it is
void disk_load(const char *path); // contents from a file, once there is a disk
void disk_threads(
    bool run); // FAKE_PTHREADS: the journal's thread, and a disk that ends requests on its own; before mount
// Memory fails from the n-th allocation on, until somebody can no longer do without and waits for it.
void disk_starve(unsigned n);
