// list.h -- intrusive, circular, doubly linked list. The head is a node of its own.
// Typical: list_init(&q) / list_add_tail(&q, &it->link) / list_entry(q.next, struct it, link) / list_del(&it->link).
#pragma once
#include "lib/util.h"

struct list {
  struct list *next, *prev;
};

#define LIST_INIT(l)                                                                                                   \
  {                                                                                                                    \
    &(l), &(l)                                                                                                         \
  }
#define list_entry(p, type, field) container_of(p, type, field)
#define list_for_each(it, head)    for(struct list *it = (head)->next; it != (head); it = it->next)
#define list_for_each_safe(it, head)                                                                                   \
  for(struct list *it = (head)->next, *it##_n = it->next; it != (head); it = it##_n, it##_n = it->next)

static inline void
list_init(struct list *l)
{
  l->next = l->prev = l;
}

static inline bool
list_empty(const struct list *l)
{
  return l->next == l;
}

// Put `n` right behind `at`; with `at` the head: first in the list.
static inline void
list_add(struct list *at, struct list *n)
{
  n->next = at->next;
  n->prev = at;
  at->next->prev = n;
  at->next = n;
}

static inline void
list_add_tail(struct list *head, struct list *n)
{
  list_add(head->prev, n);
}

// Take `n` out; it is then an empty list of its own, so that taking it out twice is harmless.
static inline void
list_del(struct list *n)
{
  n->next->prev = n->prev;
  n->prev->next = n->next;
  list_init(n);
}

// Move everything from `from` to the end of `to`.
static inline void
list_splice_tail(struct list *to, struct list *from)
{
  if(list_empty(from))
    return;
  from->next->prev = to->prev;
  to->prev->next = from->next;
  from->prev->next = to;
  to->prev = from->prev;
  list_init(from);
}
