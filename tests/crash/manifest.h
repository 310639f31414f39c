// manifest.h -- what a tree looks like, one line a file, in order of names: type, permissions, owner, links, size, time of
// change, a hash of the contents (of a symlink: of its text), path. Two kernels, or a kernel and a reader of the image,
// that print the same see the same.
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { MANIFEST_LINE = 512 };
#define MANIFEST_HASH_START 0xcbf29ce484222325ull

static inline uint64_t
manifest_hash(uint64_t h, const void *p, size_t n)
{
  const unsigned char *b = p;

  for(size_t i = 0; i < n; i++)
    h = (h ^ b[i]) * 0x100000001b3ull;
  return h;
}

#define MANIFEST_FORMAT "= %07o %u:%u %u %llu %lld.%09u %016llx %s\n"

int manifest(const char *top); // of everything below top, to standard output; 0, or 1 if something could not be read
