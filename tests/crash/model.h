// model.h -- what may be on the disk, after a recovery, given the facts that the workload had told before the power cut.
//
// Two rules. Names, links and sizes: each process's are those after its operation number k, for one k between the last that
// a sync acknowledged and the last that was begun; and if k of one process began after an operation of another had ended,
// that one is there too. (Changes of names become durable in the order in which they were made: docs/durability.md.)
// Contents: each byte is what some operation wrote there that no acknowledged sync has put behind another; never what
// another file has, nor what was there before an operation that is visibly done.
// Typical: model_fact for each fact in order / model_check at any point / model_free.
#pragma once
#include <stdbool.h>
#include "../host/ext3_image.h"
#include "facts.h"

struct model;
struct model *model_new(void);
void model_free(struct model *m);
// ack_early: a control: what is begun counts as ended at once.
bool model_fact(struct model *m, const struct fact *f, bool ack_early); // false: it is no fact, or comes out of order
// 0, or why this recovered image cannot be (valid until the next call).
const char *model_check(struct model *m, const struct image *im);
unsigned model_files(const struct model *m); // looked at in the last check
uint64_t model_bytes(const struct model *m);
