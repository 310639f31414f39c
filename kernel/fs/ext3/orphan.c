// orphan.c -- inodes that have to be finished: those that lost their last name while somebody uses them, and those that are
// being cut in several handles. After a crash, mount frees the first kind and cuts the second to its size.
// On the disk they are a list: the superblock names the newest, each names the next in i_dtime. In memory they are the same
// list, so whoever leaves it finds its neighbours, whose blocks are referenced.
// Typical: ext3_orphan_add(&h, ip) with the last name / ... / ext3_orphan_del(&h, ip) with the last block.
// Knows nothing of how an inode is finished but whom to ask.
#include "core/print.h"
#include "fs/ext3/ext3.h"
#include "lib/atomic.h"

static struct ext3_info *
info_of(struct list *l)
{
  return list_entry(l, struct ext3_info, orphan);
}

// `ino` is now what follows `before` on the disk, or what the superblock names if `before` is the list's head.
static void
link_orphan(struct handle *h, struct ext3_fs *x, struct list *before, uint32_t ino) REQUIRES(x->orphans_lock)
{
  struct ext3_super *s = (struct ext3_super *)((char *)x->super_buf->data + EXT3_SUPER_OFFSET);

  if(before != &x->orphans) {
    ext3_store_dtime(h, info_of(before)->ip, ino);
    return;
  }
  txn_declare(h, x->super_buf);
  x->super.last_orphan = ino;
  s->last_orphan = ino;
}

void
ext3_orphan_add(struct handle *h, struct inode *ip)
{
  struct ext3_fs *x = ext3_of(ip);
  struct ext3_info *info = ext3_info(ip);

  sleep_acquire(&x->orphans_lock);
  if(list_empty(&info->orphan)) {
    ext3_store_dtime(h, ip, x->super.last_orphan);
    link_orphan(h, x, &x->orphans, ip->ino);
    list_add(&x->orphans, &info->orphan);
  }
  sleep_release(&x->orphans_lock);
}

void
ext3_orphan_del(struct handle *h, struct inode *ip)
{
  struct ext3_fs *x = ext3_of(ip);
  struct ext3_info *info = ext3_info(ip);
  struct list *next;

  sleep_acquire(&x->orphans_lock);
  if(!list_empty(&info->orphan)) {
    next = info->orphan.next;
    link_orphan(h, x, info->orphan.prev, next == &x->orphans ? 0 : info_of(next)->ip->ino);
    list_del(&info->orphan);
    ext3_store_dtime(h, ip, 0);
  }
  sleep_release(&x->orphans_lock);
}

// One inode of the list that a crash left, referenced on success: it joins the list in memory.
static int
adopt(struct ext3_fs *x, uint32_t ino, struct inode **out)
{
  int err =
      ino > x->super.inodes_count || ino < x->super.first_ino ? ext3_corrupt(x, ino, 0) : ext3_iget_hidden(x, ino, out);

  if(err)
    return err;
  if(!list_empty(&ext3_info(*out)->orphan)) { // the list runs in a circle
    inode_put(*out);
    return ext3_corrupt(x, ino, 1);
  }
  sleep_acquire(&x->orphans_lock);
  list_add_tail(&x->orphans, &ext3_info(*out)->orphan);
  sleep_release(&x->orphans_lock);
  return 0;
}

// What a cut of an inode with a name left to do.
static int
finish_cut(struct inode *ip)
{
  struct ext3_fs *x = ext3_of(ip);
  struct handle h;
  int err = S_ISTYPE(ip->mode, S_IFREG) ? ext3_cut(ip, pages_of(ip->obj.size), UINT64_MAX) : 0;

  err = err ? err : ext3_begin(x, CREDITS_ORPHAN + 1, &h);
  if(err)
    return err;
  ext3_orphan_del(&h, ip);
  ext3_store(&h, ip);
  ext3_end(x, &h);
  return 0;
}

int
ext3_orphans_finish(struct ext3_fs *x, uint32_t ino)
{
  struct inode *ip = 0;
  int err = 0, n = 0;

  for(; ino && !err; ino = err ? 0 : ext3_dinode(ip)->dtime)
    err = adopt(x, ino, &ip);
  if(err)
    atomic_set(&x->closing, true); // nothing is written, so nothing is finished by halves
  while(!list_empty(&x->orphans)) {
    ip = info_of(x->orphans.next)->ip;
    if(!err && ip->nlink > 0)
      err = finish_cut(ip); // takes it off the list
    if(err)
      list_del(&ext3_info(ip)->orphan);
    inode_put(ip); // without a name: this frees it, and takes it off the list
    n++;
  }
  if(n > 0 && !err)
    print("ext3: %s: %d inode%s finished that a crash had left\n", x->fs.source, n, n == 1 ? "" : "s");
  return err;
}
