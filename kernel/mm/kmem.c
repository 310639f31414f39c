// kmem.c -- small objects: typed caches over frames. A slab is one block of frames cut into equal objects; each CPU
// keeps a short list of free ones in front, so that alloc and free rarely take the cache's lock.
//
// The frames of a slab are wired, so the first page's fields serve the slab: obj is the cache (kfree finds it
// there), idx the first free object (each free object's first word points to the next), ref 1 + the objects that are
// not in the slab, lru the place on the cache's list of slabs with a free object. A block from kzalloc that is
// larger than every size class has &large_tag as obj. An object whose size is a multiple of 64 is aligned to 64
// bytes.
//
// Typical: static struct kmem_cache *foo_cache; foo_cache = KMEM_CACHE(struct foo); f = kmem_alloc(foo_cache).
// Knows nothing of what is in an object; never sleeps, so it never frees memory to get some.
#include "core/cpu.h"
#include "core/print.h"
#include "lib/atomic.h"
#include "lib/string.h"
#include "mm/mm.h"

enum {
  CACHES_MAX = 128,
  OBJECT_ALIGN = 16,
  SLAB_ORDER_MAX = 3,
  SLAB_WASTE = 4,      // at most one byte in so many of a slab may lie behind its last object
  STOCK_BYTES = 16384, // what a CPU keeps to itself in one cache, within the next two
  STOCK_LEAST = 4,
  STOCK_MOST = 64,
  CLASS_MAX = 2048, // largest size class of kzalloc
  NCLASS = 13,
  LARGE_MAX_ORDER = 8, // 1 MiB
  POISON_BYTE = 0x5a,
};
#define FREE_MARK 0x66726565626c6f63ull // with the object's address: its second word while it is free (debug)

struct kmem_cache {
  const char *name;     // (c)
  uint32_t size;        // (c) bytes, a multiple of OBJECT_ALIGN
  uint8_t order;        // (c) of its slabs
  uint16_t perslab;     // (c)
  uint16_t stock_max;   // (c) objects one CPU may keep
  struct spinlock lock; // rank RANK_KMEM
  struct list partial;  // (lock) slabs with a free object
};

struct object { // a free one
  struct object *next;
  uint64_t mark;
};

struct kmem_stock { // of one CPU in one cache: that CPU, interrupts off
  struct object *head;
  int n;
};

static struct kmem_cache caches[CACHES_MAX];
static int ncaches; // (cachelist)
static struct spinlock cachelist = SPINLOCK_INIT("cachelist", RANK_KMEM);
static struct {
  struct kmem_stock of[CACHES_MAX];
} __attribute__((aligned(64))) stocks[CPU_MAX];
static uint64_t npages; // (a)
void (*kmem_watch)(void *p, size_t n, bool alloc);

static const uint16_t class_size[NCLASS] = {16, 32, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, CLASS_MAX};
static struct kmem_cache *class_cache[NCLASS];         // (c) after start
static uint8_t class_of[CLASS_MAX / OBJECT_ALIGN + 1]; // (c) size / OBJECT_ALIGN, rounded up -> class
static struct mobj large_tag;                          // its address marks large blocks

static void
cache_shape(struct kmem_cache *c)
{
  uint64_t slab;

  for(c->order = 0; c->order < SLAB_ORDER_MAX; c->order++) {
    slab = PAGE_SIZE << c->order;
    if(c->size <= slab && slab % c->size <= slab / SLAB_WASTE)
      break;
  }
  c->perslab = (PAGE_SIZE << c->order) / c->size;
  if(c->perslab == 0)
    panic("kmem_cache %s: objects of %u bytes do not fit into a slab", c->name, c->size);
  c->stock_max = max((int)STOCK_LEAST, min((int)STOCK_MOST, (int)(STOCK_BYTES / c->size)));
}

struct kmem_cache *
kmem_cache(const char *name, size_t size)
{
  struct kmem_cache *c = 0;

  size = round_up(max(size, (size_t)OBJECT_ALIGN), OBJECT_ALIGN);
  spin_acquire(&cachelist);
  for(int i = 0; i < ncaches && c == 0; i++)
    if(strcmp(caches[i].name, name) == 0 && caches[i].size == size)
      c = &caches[i];
  if(c == 0) {
    if(ncaches == CACHES_MAX)
      panic("kmem_cache %s: all %d caches are in use", name, ncaches);
    c = &caches[ncaches];
    c->name = name;
    c->size = size;
    cache_shape(c);
    spin_init(&c->lock, name, RANK_KMEM);
    list_init(&c->partial);
    ncaches++;
  }
  spin_release(&cachelist);
  return c;
}

void
kmem_init(void)
{
  int k = 0;

  for(int i = 0; i < NCLASS; i++)
    class_cache[i] = kmem_cache("kzalloc", class_size[i]);
  for(int i = 0; i < array_len(class_of); i++) {
    if(i * OBJECT_ALIGN > class_size[k])
      k++;
    class_of[i] = k;
  }
}

#ifdef DEBUG
static void
debug_object_free(struct kmem_cache *c, struct object *o)
{
  if(o->mark == (FREE_MARK ^ (uintptr_t)o))
    panic("kmem %s: object %p freed twice", c->name, o);
  memset(o, POISON_BYTE, c->size);
  o->mark = FREE_MARK ^ (uintptr_t)o;
  if(kmem_watch)
    kmem_watch(o + 1, c->size - sizeof(*o), false);
}

static void
debug_object_alloc(struct kmem_cache *c, struct object *o)
{
  const unsigned char *byte = (const unsigned char *)o;

  if(kmem_watch)
    kmem_watch(o + 1, c->size - sizeof(*o), true);
  if(o->mark != (FREE_MARK ^ (uintptr_t)o))
    panic("kmem %s: free object %p was written to: mark %#lx", c->name, o, o->mark);
  for(size_t i = sizeof(*o); i < c->size; i++)
    if(byte[i] != POISON_BYTE)
      panic("kmem %s: free object %p was written to at %zu: %#x", c->name, o, i, byte[i]);
}
#else
static void
debug_object_free(struct kmem_cache *c, struct object *o)
{
}

static void
debug_object_alloc(struct kmem_cache *c, struct object *o)
{
}
#endif

// The slab's first page, from any object in it.
static struct page *
slab_of(const struct kmem_cache *c, const void *p)
{
  uint64_t i = page_of_va(p) - page_array;
  struct page *pg = page_array + (i & ~((1ull << c->order) - 1));

  if(unlikely((void *)pg->obj != (void *)c))
    panic("kmem %s: object %p is not its own", c->name, p);
  return pg;
}

// held: c->lock. A new slab onto the list: false if no memory.
static bool
slab_new(struct kmem_cache *c)
{
  struct page *pg = frame_try(c->order);
  struct object *o;
  char *p;

  if(pg == 0)
    return false;
  p = page_va(pg);
  pg->obj = (struct mobj *)c;
  pg->idx = 0;
  for(int i = c->perslab - 1; i >= 0; i--) {
    o = (struct object *)(p + (size_t)i * c->size);
    o->mark = 0;
    debug_object_free(c, o);
    o->next = (struct object *)pg->idx;
    pg->idx = (uintptr_t)o;
  }
  list_add(&c->partial, &pg->lru);
  atomic_add(&npages, 1ull << c->order);
  return true;
}

// held: c->lock. The slab holds all its objects.
static void
slab_free(struct kmem_cache *c, struct page *pg)
{
  list_del(&pg->lru);
  pg->obj = 0;
  atomic_sub(&npages, 1ull << c->order);
  if(kmem_watch)
    kmem_watch(page_va(pg), PAGE_SIZE << c->order, true);
  frame_free(pg);
}

// held: c->lock. A free object out of the first slab that has one; 0 if none.
static struct object *
slab_take(struct kmem_cache *c)
{
  struct object *o;
  struct page *pg;

  if(list_empty(&c->partial))
    return 0;
  pg = list_entry(c->partial.next, struct page, lru);
  o = (struct object *)pg->idx;
  pg->idx = (uintptr_t)o->next;
  pg->ref++;
  if(pg->idx == 0)
    list_del(&pg->lru);
  return o;
}

// held: c->lock. One empty slab may stay, so that one object more or less costs no frame each time.
static void
slab_put(struct kmem_cache *c, struct object *o)
{
  struct page *pg = slab_of(c, o);

  if(pg->idx == 0)
    list_add(&c->partial, &pg->lru);
  o->next = (struct object *)pg->idx;
  pg->idx = (uintptr_t)o;
  if(--pg->ref == 1 && (c->partial.next != &pg->lru || c->partial.prev != &pg->lru))
    slab_free(c, pg);
}

// held: interrupts off. Half of what the stock may hold; false if there was nothing at all.
static bool
stock_fill(struct kmem_cache *c, struct kmem_stock *s)
{
  struct object *o;

  spin_acquire(&c->lock);
  while(s->n < c->stock_max / 2) {
    o = slab_take(c);
    if(o == 0) {
      if(s->n > 0 || !slab_new(c))
        break;
      continue;
    }
    o->next = s->head;
    s->head = o;
    s->n++;
  }
  spin_release(&c->lock);
  return s->n > 0;
}

// held: interrupts off
static void
stock_drain(struct kmem_cache *c, struct kmem_stock *s, int keep)
{
  struct object *o;

  spin_acquire(&c->lock);
  while(s->n > keep) {
    o = s->head;
    s->head = o->next;
    s->n--;
    slab_put(c, o);
  }
  spin_release(&c->lock);
}

void *
kmem_alloc(struct kmem_cache *c)
{
  struct object *o = 0;
  struct kmem_stock *s;

  if(unlikely(atomic_get_relaxed(&frame_fail_armed)) && frame_fail_hit())
    return 0;
  irq_off();
  s = &stocks[cpu_self()->id].of[c - caches];
  if(likely(s->n > 0) || stock_fill(c, s)) {
    o = s->head;
    s->head = o->next;
    s->n--;
  }
  irq_restore();
  if(unlikely(o == 0))
    return 0;
  debug_object_alloc(c, o);
  return memset(o, 0, c->size);
}

void
kmem_free(struct kmem_cache *c, void *p)
{
  struct object *o = p;
  struct kmem_stock *s;

#ifdef DEBUG
  slab_of(c, p);
#endif
  debug_object_free(c, o);
  irq_off();
  s = &stocks[cpu_self()->id].of[c - caches];
  if(unlikely(s->n >= c->stock_max))
    stock_drain(c, s, c->stock_max / 2);
  o->next = s->head;
  s->head = o;
  s->n++;
  irq_restore();
}

static void *
large_alloc(size_t n)
{
  struct page *pg;
  int order = 0;

  while(order <= LARGE_MAX_ORDER && PAGE_SIZE << order < n)
    order++;
  if(order > LARGE_MAX_ORDER || (pg = frame_try(order)) == 0)
    return 0;
  pg->obj = &large_tag;
  atomic_add(&npages, 1ull << order);
  return memset(page_va(pg), 0, PAGE_SIZE << order);
}

void *
kzalloc(size_t n)
{
  if(n > CLASS_MAX)
    return large_alloc(n);
  return kmem_alloc(class_cache[class_of[(n + OBJECT_ALIGN - 1) / OBJECT_ALIGN]]);
}

void
kfree(void *p)
{
  struct page *pg;

  if(p == 0)
    return;
  pg = page_of_va(p);
  if(pg->obj == &large_tag) {
    pg->obj = 0;
    atomic_sub(&npages, 1ull << pg->order);
    frame_free(pg);
    return;
  }
  if((void *)pg->obj < (void *)caches || (void *)pg->obj >= (void *)(caches + CACHES_MAX))
    panic("kfree(%p): not from kzalloc", p);
  kmem_free((struct kmem_cache *)pg->obj, p);
}

char *
kstrdup(const char *s)
{
  size_t n = strlen(s) + 1;
  char *copy = kzalloc(n);

  return copy ? memcpy(copy, s, n) : 0;
}

uint64_t
kmem_pages(void)
{
  return atomic_get_relaxed(&npages);
}

void
kmem_drain(void)
{
  int n = atomic_get(&ncaches);
  struct kmem_cache *c;

  for(c = caches; c < caches + n; c++) {
    irq_off();
    stock_drain(c, &stocks[cpu_self()->id].of[c - caches], 0);
    irq_restore();
    spin_acquire(&c->lock);
    list_for_each_safe(it, &c->partial)
      if(list_entry(it, struct page, lru)->ref == 1)
        slab_free(c, list_entry(it, struct page, lru));
    spin_release(&c->lock);
  }
}
