// perm.h -- what a set of credentials may do. Inside fs/ only.
#pragma once
#include "fs/vfs.h"

enum { // bits of cred.cap_effective; Linux's numbers
  FSCAP_CHOWN = 0,
  FSCAP_DAC_OVERRIDE = 1,
  FSCAP_DAC_READ_SEARCH = 2,
  FSCAP_FOWNER = 3,
  FSCAP_FSETID = 4,
  FSCAP_SYS_ADMIN = 21,
  FSCAP_SYS_RESOURCE = 24,
  FSCAP_MKNOD = 27,
};

// cr 0 is the kernel itself, which may everything.
static inline bool
cred_has(const struct cred *cr, int cap)
{
  return !cr || (cr->cap_effective >> cap & 1);
}

static inline bool
cred_owns(const struct cred *cr, const struct inode *ip)
{
  return !cr || cr->fsuid == ip->uid || cred_has(cr, FSCAP_FOWNER);
}

static inline bool
cred_in_group(const struct cred *cr, uint32_t gid)
{
  if(!cr || cr->fsgid == gid)
    return true;
  for(int i = 0; i < cr->ngroups; i++)
    if(cr->groups[i] == gid)
      return true;
  return false;
}

static inline bool
inode_is(const struct inode *ip, unsigned type)
{
  return S_ISTYPE(ip->mode, type);
}
