// fake_frames.h -- memory for host tests of mm: an arena with a page array and a direct map, given to frame.c. Free frames
// and free objects are poisoned for ASan, so that touching one dies where it happens.
// Link it with kernel/mm/{page,lru,frame,kmem,spare,mobj,objmap,dirty,balance,shm,reclaim}.c, kernel/lib/radix.c, fake_thread.c and core.
#pragma once
#include "mm/mm.h"

// The first call makes an arena of that many frames and calls mm_init; later ones do nothing.
void fake_frames_init(uint64_t nframes);
// Free frames once what kmem keeps in stock and in empty slabs is given back: equal before and after, or it leaks.
uint64_t fake_frames_free(void);
// Make memory short: take frames away until only `leave` are free (as frames_free counts, the reserve included);
// fake_frames_relax gives them back.
void fake_frames_squeeze(uint64_t leave);
void fake_frames_relax(void);
