// fuzz_write.c -- hostile images that are mounted for writing: with their journal, their list of unfinished inodes, and a
// score of changes. Whatever the image says: no crash, no panic, no wait without an end, and nothing is left in memory.
// The input is a list of edits of the image build/fuzz/write.img, 8 bytes each: kind, width, position (16 bits), value
// (32 bits). The first byte also says in which order the changes are made.
#include <stdlib.h>
#include <string.h>
#include "fake_disk.h"
#include "fake_frames.h"
#include "fs/bcache.h"
#include "fs/ext3/ext3.h"
#include "fs/internal.h"

__asm__(
    ".section .rodata\n.balign 8\nbase_image: .incbin \"build/fuzz/write.img\"\nbase_image_end: .byte 0\n.previous\n");
extern const unsigned char base_image[], base_image_end[];

enum { EDIT = 8, EDITS_MAX = 32, META_MAX = 400, FRAMES = 8192, REQUESTS_MAX = 200000, INODES_SEEN = 40, DINODE = 160 };
enum {
  KIND_SUPER,
  KIND_ORPHAN,
  KIND_GROUPS,
  KIND_BITMAP,
  KIND_INODE,
  KIND_INODE2,
  KIND_META,
  KIND_META2,
  KIND_JOURNAL,
  KINDS
};

static struct fake_disk disk;
static uint64_t size;
static uint32_t meta[META_MAX]; // blocks of directories and of pointers
static int nmeta;
static uint32_t journal_at; // block of its superblock
static struct cred cred = {.ref = 1, .cap_effective = UINT64_MAX};
static struct namectx ctx = {.cred = &cred};

void
vprint(const char *f, va_list ap)
{
}

const struct file_ops *
dev_chr_fops(uint64_t rdev)
{
  return 0;
}

// With one thread nobody would run the journal's: whoever waits for it does its work.
int __real_journal_start(struct journal *j, bool thread);
int __wrap_journal_start(struct journal *j, bool thread);
int
__wrap_journal_start(struct journal *j, bool thread)
{
  return __real_journal_start(j, false);
}

// ---- changes

static void
change_file(const char *path, uint64_t pos, uint64_t cut)
{
  static char bytes[3 * PAGE_SIZE];
  struct iovec one;
  struct file *f;
  struct uio u;

  if(vfs_open(&ctx, 0, path, O_RDWR, 0, &f) != 0)
    return;
  if(S_ISTYPE(f->inode->mode, S_IFREG)) {
    uio_kernel(&u, &one, bytes, sizeof(bytes));
    file_write(f, &u, &pos);
    vfs_fallocate(f, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, 2 * PAGE_SIZE, 50 * PAGE_SIZE);
    vfs_ftruncate(f, cut);
    vfs_ftruncate(f, cut + 5 * PAGE_SIZE);
    vfs_fallocate(f, 0, cut, 3 * PAGE_SIZE);
  }
  file_fsync(f, false);
  file_put(f);
}

static void
make(const char *path, unsigned flags)
{
  struct file *f;

  if(vfs_open(&ctx, 0, path, flags | O_RDWR, 0644, &f) == 0)
    file_put(f);
}

static void
change(int what)
{
  char text[1000];

  memset(text, 'x', sizeof(text) - 1);
  text[sizeof(text) - 1] = 0;
  switch(what) {
  case 0: change_file("/sparse/all", 12 * PAGE_SIZE - 100, 1040 * PAGE_SIZE + 5); break;
  case 1: change_file("/sparse/single", 70000, 100); break;
  case 2: change_file("/d/e/f/deep", 0, 3); break;
  case 3: make("/d/new", O_CREAT | O_EXCL); break;
  case 4: make("/many/and-one-name-more", O_CREAT); break;
  case 5: vfs_mkdir(&ctx, 0, "/d/dir", 0755); break;
  case 6: vfs_rename(&ctx, 0, "/d/e", 0, "/links/e", 0); break;
  case 7: vfs_rename(&ctx, 0, "/links/hard", 0, "/sparse/single", 0); break;
  case 8: vfs_rename(&ctx, 0, "/d", 0, "/many", RENAME_EXCHANGE); break;
  case 9: vfs_unlink(&ctx, 0, "/links/4095"); break;
  case 10: vfs_unlink(&ctx, 0, "/sparse/all"); break;
  case 11: vfs_rmdir(&ctx, 0, "/d/dir"); break;
  case 12: vfs_rmdir(&ctx, 0, "/many"); break;
  case 13: vfs_symlink(&ctx, text, 0, "/links/long"); break;
  case 14: vfs_link(&ctx, 0, "/links/hard", 0, 0, "/d/harder"); break;
  case 15: make("/d", O_TMPFILE); break;
  case 16: vfs_mknod(&ctx, 0, "/node", S_IFCHR | 0600, 0x501); break;
  case 17: vfs_unlink(&ctx, 0, "/links/fifo"); break;
  default: dentry_shrink(UINT64_MAX); inode_flush_later();
  }
}

static void
settle(void)
{
  fake_disks_idle();
  inode_flush_later();
  while(dentry_shrink(UINT64_MAX) + bcache_shrink(UINT64_MAX) > 0)
    inode_flush_later();
}

static void
use(int order)
{
  static const int step[] = {1, 3, 7, 11};
  enum { CHANGES = 20 };
  struct fs *fs;

  if(ext3_mount("vda", "", &fs) != 0)
    return;
  fs->ref++; // as mount_add counts
  ctx.root = ctx.cwd = fs->root;
  for(int i = 0; i < CHANGES; i++)
    change((order / 4 + i * step[order % 4]) % CHANGES);
  inode_sync_fs(fs);
  fs->ops->sync(fs);
  inode_flush_later();
  dentry_forget_fs(fs);
  if(fs->root->ref != 1 || fs->ref != 2 || fs->ninodes != 1)
    panic("root has %d references, fs %d, and %lu inodes are in memory", fs->root->ref, fs->ref, fs->ninodes);
  dentry_put(fs->root);
  fs->ops->unmount(fs);
  fs_put(fs);
}

// ---- edits

static unsigned char *
place(int kind, unsigned pos)
{
  const struct ext3_super *s = (const void *)(base_image + EXT3_SUPER_OFFSET);
  const struct ext3_group *g = (const void *)(base_image + EXT3_BLOCK);

  switch(kind % KINDS) {
  case KIND_SUPER: return disk.bytes + EXT3_SUPER_OFFSET + pos % 0x70;
  case KIND_ORPHAN: return disk.bytes + EXT3_SUPER_OFFSET + offsetof(struct ext3_super, journal_inum) + pos % 12;
  case KIND_GROUPS: return disk.bytes + EXT3_BLOCK + pos % sizeof(*g);
  case KIND_BITMAP:
    return disk.bytes + (uint64_t)(pos % 2 ? g->block_bitmap : g->inode_bitmap) * EXT3_BLOCK + pos / 2 % 512;
  case KIND_INODE:
  case KIND_INODE2:
    return disk.bytes + (uint64_t)g->inode_table * EXT3_BLOCK + (1 + pos % INODES_SEEN) * s->inode_size +
           pos / INODES_SEEN % DINODE;
  case KIND_JOURNAL: return disk.bytes + (uint64_t)journal_at * EXT3_BLOCK + pos % 256;
  default: return disk.bytes + (uint64_t)meta[pos % nmeta] * EXT3_BLOCK + pos / 16 % EXT3_BLOCK;
  }
}

static void
edit(const unsigned char *e)
{
  unsigned width = 1u << e[1] % 3;
  unsigned char *p = place(e[0], e[2] | e[3] << 8);

  if(p + width > disk.bytes + size)
    return;
  memcpy(p, e + 4, width);
  fake_disk_changes(&disk, p - disk.bytes, width);
}

// Blocks that inodes name: of directories, and of pointers.
static void
find_meta(void)
{
  const struct ext3_super *s = (const void *)(base_image + EXT3_SUPER_OFFSET);
  const struct ext3_group *g = (const void *)(base_image + EXT3_BLOCK);

  for(int i = 0; i < INODES_SEEN; i++) {
    const struct ext3_dinode *d =
        (const void *)(base_image + (uint64_t)g->inode_table * EXT3_BLOCK + i * s->inode_size);
    bool dir = S_ISTYPE(d->mode, S_IFDIR), file = S_ISTYPE(d->mode, S_IFREG);

    if(i + 1 == EXT3_JOURNAL_INO)
      journal_at = d->block[0];
    else
      for(int k = dir ? 0 : EXT3_DIRECT; (dir || file) && k < EXT3_POINTERS && nmeta < META_MAX; k++)
        if(d->block[k])
          meta[nmeta++] = d->block[k];
  }
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n);
int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t n)
{
  static uint64_t baseline;
  int order = n ? data[0] : 0;

  if(size == 0) {
    size = base_image_end - base_image;
    fake_frames_init(FRAMES);
    fake_idle = fake_disks_idle;
    vfs_init();
    ext3_init();
    find_meta();
    fake_disk_init(&disk, "vda", size);
    memcpy(disk.bytes, base_image, size);
    use(0);
    settle();
    baseline = fake_frames_free();
  }
  fake_disk_reset(&disk, base_image);
  disk.later = order & 1;
  for(int i = 0; n >= EDIT && i < EDITS_MAX; n -= EDIT, data += EDIT, i++)
    edit(data);
  use(order);
  settle();
  if(disk.requests > REQUESTS_MAX)
    panic("%d requests for a few changes", disk.requests);
  if(bcache_pages() != 0 || fake_frames_free() != baseline)
    panic("%lu frames are free, at first %lu; %lu metadata blocks", fake_frames_free(), baseline, bcache_pages());
  return 0;
}
