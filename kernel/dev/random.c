// random.c -- random bytes for the kernel and programs: ChaCha20 (RFC 8439's block function) with fast key erasure.
// Typical: random_bytes(buf, n) from anywhere; random_mix(noise, n) from whoever has some.
// Each call draws a fresh key for itself under the lock and replaces the generator's, so what was given out cannot be
// computed from what is left in memory. Noise is folded into the key through the block function.
// Must not sleep, nor be asked to judge how random its noise is.
#include "core/cpu.h"
#include "core/lock.h"
#include "core/time.h"
#include "dev/dev.h"
#include "lib/atomic.h"
#include "lib/string.h"

enum {
  KEY_WORDS = 8,
  KEY_BYTES = 32,
  BLOCK_WORDS = 16,
  BLOCK_BYTES = 64,
  STATE_KEY = 4, // words of the state: 4 constants, 8 key, 1 counter, 3 nonce
  STATE_COUNTER = 12,
  DOUBLE_ROUNDS = 10,
  JITTER_SAMPLES = 1024,
  JITTER_WORDS = 64,
};

static struct {
  struct spinlock lock;
  uint32_t key[KEY_WORDS]; // (lock)
  uint64_t mixed;          // (lock) chunks folded in: the block counter, so that equal noise still changes the key
  bool seeded;             // (a) set under the lock
} generator = {.lock = SPINLOCK_INIT("random", RANK_DEV)};

static uint32_t
rotate(uint32_t x, int by)
{
  return x << by | x >> (32 - by);
}

static void
quarter_round(uint32_t *s, int a, int b, int c, int d)
{
  s[a] += s[b], s[d] = rotate(s[d] ^ s[a], 16);
  s[c] += s[d], s[b] = rotate(s[b] ^ s[c], 12);
  s[a] += s[b], s[d] = rotate(s[d] ^ s[a], 8);
  s[c] += s[d], s[b] = rotate(s[b] ^ s[c], 7);
}

// out = block number `counter` of the stream of `key` (nonce 0: a key serves one stream only).
static void
chacha_block(const uint32_t key[KEY_WORDS], uint64_t counter, uint32_t out[BLOCK_WORDS])
{
  uint32_t start[BLOCK_WORDS] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574}; // "expand 32-byte k"

  memcpy(&start[STATE_KEY], key, KEY_BYTES);
  start[STATE_COUNTER] = counter;
  start[STATE_COUNTER + 1] = counter >> 32;
  memcpy(out, start, BLOCK_BYTES);
  for(int i = 0; i < DOUBLE_ROUNDS; i++) {
    quarter_round(out, 0, 4, 8, 12);
    quarter_round(out, 1, 5, 9, 13);
    quarter_round(out, 2, 6, 10, 14);
    quarter_round(out, 3, 7, 11, 15);
    quarter_round(out, 0, 5, 10, 15);
    quarter_round(out, 1, 6, 11, 12);
    quarter_round(out, 2, 7, 8, 13);
    quarter_round(out, 3, 4, 9, 14);
  }
  for(int i = 0; i < BLOCK_WORDS; i++)
    out[i] += start[i];
}

// Fold n bytes into the key.
static void
generator_mix(const void *buf, size_t n) REQUIRES(generator.lock)
{
  uint32_t block[BLOCK_WORDS];
  const uint8_t *p = buf;

  assert_held(&generator.lock);
  while(n > 0) {
    size_t k = min(n, (size_t)KEY_BYTES);

    for(size_t i = 0; i < k; i++)
      ((uint8_t *)generator.key)[i] ^= p[i];
    chacha_block(generator.key, ++generator.mixed, block);
    memcpy(generator.key, block, KEY_BYTES);
    p += k;
    n -= k;
  }
  memset(block, 0, sizeof(block));
}

// The clock's low bits between uneven pieces of work: weak, but what a machine without a source has.
static void
generator_mix_jitter(void) REQUIRES(generator.lock)
{
  uint64_t word[JITTER_WORDS];

  assert_held(&generator.lock);
  for(int i = 0; i < JITTER_SAMPLES; i++) {
    uint64_t now = clock_now();

    word[i % JITTER_WORDS] = now ^ (uint64_t)i << 56;
    for(volatile uint64_t spin = now & 31; spin > 0; spin--)
      ;
    if(i % JITTER_WORDS == JITTER_WORDS - 1)
      generator_mix(word, sizeof(word));
  }
  memset(word, 0, sizeof(word));
}

// First use: the CPU's generator if it has one, and jitter in any case.
static void
generator_seed(void) REQUIRES(generator.lock)
{
  uint8_t noise[KEY_BYTES] = {0};
  uint64_t wall = clock_wall();

  assert_held(&generator.lock);
  generator_mix(noise, cpu_random(noise, sizeof(noise)));
  generator_mix(&wall, sizeof(wall));
  generator_mix_jitter();
  memset(noise, 0, sizeof(noise));
  atomic_set(&generator.seeded, true);
}

void
random_mix(const void *buf, size_t n)
{
  spin_acquire(&generator.lock);
  generator_mix(buf, n);
  spin_release(&generator.lock);
}

void
random_bytes(void *buf, size_t n)
{
  uint32_t block[BLOCK_WORDS], key[KEY_WORDS];
  uint8_t *p = buf;

  spin_acquire(&generator.lock);
  if(!generator.seeded)
    generator_seed();
  chacha_block(generator.key, 0, block);
  memcpy(generator.key, block, KEY_BYTES);
  memcpy(key, block + KEY_WORDS, KEY_BYTES);
  spin_release(&generator.lock);

  for(uint64_t counter = 0; n > 0; counter++) {
    size_t k = min(n, (size_t)BLOCK_BYTES);

    chacha_block(key, counter, block);
    memcpy(p, block, k);
    p += k;
    n -= k;
  }
  memset(block, 0, sizeof(block));
  memset(key, 0, sizeof(key));
}

bool
random_ready(void)
{
  if(!atomic_get(&generator.seeded)) {
    spin_acquire(&generator.lock);
    if(!generator.seeded)
      generator_seed();
    spin_release(&generator.lock);
  }
  return true;
}
