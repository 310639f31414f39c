// writeback_files.h -- a file system of a few files over arrays, for tests of write-back: its store refuses pages on demand.
#pragma once
#include "fake_frames.h"
#include "fake_thread.h"
#include "fs/internal.h"

enum { FILES = 4, FILE_PAGES = 512, FRAMES = 8192 };

struct stored {              // one file's store
  uint64_t word[FILE_PAGES]; // first word of each page
  bool bad[FILE_PAGES];      // a write that has this page fails as a whole
  int flushes, flushed;      // (a) calls, pages
  int evicted;
  int nlink;    // what a fresh inode gets
  int delay_us; // of each flush, with threads
};
extern struct stored stored[FILES];
extern struct fs wfs;

void files_begin(void);                               // all empty and good; the clock at the same time of day
void files_limits(uint64_t background, uint64_t all); // pages that may be dirty
void files_end(void);                                 // and nothing may be left
void files_check(struct mobj *obj);                   // what is dirty is tagged, and nothing else
struct file *file_of(int k);                          // open file k for reading and writing
int64_t file_put_word(struct file *f, uint64_t page, uint64_t word); // write(2) of 8 bytes
uint64_t file_get_word(struct file *f, uint64_t page);
