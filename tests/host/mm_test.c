#include "fake_frames.h"
#include "fake_pmap.h"
#include "mm_store.h"
#include "test.h"
TEST(leak)
{
  fake_frames_init(16384);
  aspace_setup();
  for(int i = 0; i < 3; i++) {
    uint64_t a = fake_frames_free();
    struct aspace *as = aspace_create();
    vaddr_t at;
    struct map_request rq = {.len = 40 * PAGE_SIZE, .prot = 3, .maxprot = 7};
    printf("%lu\n", a);
    aspace_map(as, &rq, &at);
    zeroout(as, at, 40 * PAGE_SIZE, 0);
    aspace_check(as);
    aspace_unuse(as);
    expect_eq(fake_frames_free(), a);
  }
}
