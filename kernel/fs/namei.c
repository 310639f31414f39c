// namei.c -- a path to a dentry, given where to start, where the root is, and who asks.
//
// Typical: namei(&ctx, 0, "/bin/sh", NAMEI_FOLLOW, &d) / use d / dentry_put(d); calls that create or remove names use
// namei_parent and go on in names.c and open.c.
// A walk holds one dentry and no lock. A symbolic link's text is put in front of what is left of the path; a magic link
// (inode_ops.follow) gives the dentry itself. Knows nothing of processes and open files.
#include "fs/internal.h"
#include "fs/perm.h"
#include "lib/atomic.h"
#include "lib/string.h"

int
walk_begin(struct walk *w, const struct namectx *c, struct dentry *at, const char *path)
{
  w->c = c;
  w->buf = 0;
  w->p = path;
  w->links = 0;
  w->at = 0;
  if(*path == 0)
    return -ENOENT;
  w->at = dentry_get(*path == '/' ? c->root : at ? at : c->cwd);
  return 0;
}

void
walk_end(struct walk *w)
{
  dentry_put(w->at);
  kfree(w->buf);
}

// The next component, 0 bytes long at the end of the path. w->p moves behind it. *last: only slashes follow.
static size_t
walk_component(struct walk *w, const char **name, bool *last)
{
  const char *rest;

  while(*w->p == '/')
    w->p++;
  *name = w->p;
  while(*w->p && *w->p != '/')
    w->p++;
  for(rest = w->p; *rest == '/'; rest++)
    ;
  *last = *rest == 0;
  return w->p - *name;
}

// May names be looked up where the walk is?
static int
walk_may_search(const struct walk *w)
{
  if(!inode_is(w->at->inode, S_IFDIR))
    return -ENOTDIR;
  return inode_permission(w->at->inode, w->c->cred, MAY_EXEC);
}

static void
walk_move(struct walk *w, struct dentry *to)
{
  dentry_put(w->at);
  w->at = to;
}

// Text of a symbolic link with the rest of the path behind it, in memory of its own. 0 or -E.
static int
walk_splice(struct walk *w, struct inode *link)
{
  size_t rest = strlen(w->p), room = link->obj.size > 0 && link->obj.size < PATH_MAX ? link->obj.size + 1 : PATH_MAX;
  char *text = kzalloc(room + rest + 1);
  int64_t n;

  if(!text)
    return -ENOMEM;
  n = link->ops->readlink ? link->ops->readlink(link, text, room) : -EINVAL;
  if(n <= 0) {
    kfree(text);
    return n ? n : -ENOENT;
  }
  memcpy(text + n, w->p, rest);
  text[n + rest] = 0;
  kfree(w->buf);
  w->buf = text;
  w->p = text;
  return 0;
}

int
walk_link(struct walk *w, struct dentry *link)
{
  struct dentry *to;
  int err;

  if(++w->links > LINK_MAX_FOLLOW)
    err = -ELOOP;
  else if(link->inode->ops->follow) {
    err = link->inode->ops->follow(link->inode, &to);
    if(!err)
      walk_move(w, to);
  } else {
    err = walk_splice(w, link->inode);
    if(!err && *w->p == '/')
      walk_move(w, dentry_get(w->c->root));
  }
  dentry_put(link);
  return err;
}

// Go to one component. 0 or -E.
static int
walk_step(struct walk *w, const char *name, size_t len, bool follow)
{
  struct dentry *d;
  int err;

  if(len == 1 && name[0] == '.')
    return 0;
  if(len == 2 && name[0] == '.' && name[1] == '.') {
    w->at = dentry_up(w->at, w->c->root);
    return 0;
  }
  if(len > NAME_MAX)
    return -ENAMETOOLONG;
  err = dentry_lookup(w->at, name, len, &d);
  if(err)
    return err;
  if(!atomic_get(&d->inode)) {
    dentry_put(d);
    return -ENOENT;
  }
  d = dentry_cross(d);
  if(follow && inode_is(d->inode, S_IFLNK))
    return walk_link(w, d);
  walk_move(w, d);
  return 0;
}

static int
walk_last(struct walk *w, struct namei_last *last, const char *name, size_t len)
{
  if(len > NAME_MAX)
    return -ENAMETOOLONG;
  memcpy(last->name, name, len);
  last->name[len] = 0;
  last->len = len;
  last->dir_slash = *w->p == '/';
  last->kind = LAST_NORMAL;
  if(strcmp(last->name, ".") == 0)
    last->kind = LAST_DOT;
  else if(strcmp(last->name, "..") == 0)
    last->kind = LAST_DOTDOT;
  return 0;
}

int
walk_parent(struct walk *w, struct namei_last *last)
{
  const char *name;
  bool is_last;
  size_t len;
  int err;

  while((len = walk_component(w, &name, &is_last)) > 0) {
    if((err = walk_may_search(w)) != 0)
      return err;
    if(is_last)
      return walk_last(w, last, name, len);
    if((err = walk_step(w, name, len, true)) != 0)
      return err;
  }
  last->kind = LAST_ROOT;
  last->len = 0;
  last->name[0] = 0;
  last->dir_slash = false;
  return 0;
}

int
namei_parent(const struct namectx *c, struct dentry *at, const char *path, struct dentry **dir, struct namei_last *last)
{
  struct walk w;
  int err;

  err = walk_begin(&w, c, at, path);
  if(!err)
    err = walk_parent(&w, last);
  if(!err) {
    *dir = w.at;
    w.at = 0;
  }
  walk_end(&w);
  return err;
}

// The whole path. 0 or -E; the walk is then at what it names.
static int
walk_all(struct walk *w, int flags)
{
  bool is_last, slash = false;
  const char *name;
  size_t len;
  int err;

  while((len = walk_component(w, &name, &is_last)) > 0) {
    slash = *w->p == '/';
    if((err = walk_may_search(w)) != 0)
      return err;
    if((err = walk_step(w, name, len, slash || !is_last || (flags & NAMEI_FOLLOW))) != 0)
      return err;
  }
  if((slash || (flags & NAMEI_DIRECTORY)) && !inode_is(w->at->inode, S_IFDIR))
    return -ENOTDIR;
  return 0;
}

int
namei(const struct namectx *c, struct dentry *at, const char *path, int flags, struct dentry **out)
{
  struct walk w;
  int err;

  if(*path == 0 && (flags & NAMEI_EMPTY)) {
    *out = dentry_get(at ? at : c->cwd);
    return 0;
  }
  err = walk_begin(&w, c, at, path);
  if(!err)
    err = walk_all(&w, flags);
  if(!err) {
    *out = w.at;
    w.at = 0;
  }
  walk_end(&w);
  return err;
}
