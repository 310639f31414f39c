// tty_test.c -- the line discipline (dev/line.c): editing, echo, special characters, raw mode, output processing.
#include <stdlib.h>
#include <string.h>
#include "dev/line.h"
#include "test.h"

static struct line *
fresh(void)
{
  struct line *l = malloc(sizeof(*l));

  line_init(l);
  return l;
}

static void
type(struct line *l, const char *s)
{
  while(*s)
    line_input(l, *s++);
}

static const char *
echoed(struct line *l)
{
  static char buf[LINE_ECHO + 1];

  buf[line_echoed(l, buf, LINE_ECHO)] = 0;
  return buf;
}

static const char *
take(struct line *l, size_t n, bool *end)
{
  static char buf[LINE_SIZE + 1];

  buf[line_take(l, buf, n, end)] = 0;
  return buf;
}

#define expect_str(got, want)                                                                                          \
  do {                                                                                                                 \
    const char *g_ = (got);                                                                                            \
    if(strcmp(g_, want) != 0)                                                                                          \
      test_fail(__FILE__, __LINE__, "%s is \"%s\", expected \"%s\"", #got, g_, want);                                  \
  } while(0)

static void
set_raw(struct line *l)
{
  struct termios t = l->t;

  t.lflag &= ~(ICANON | ECHO | ISIG);
  t.iflag &= ~ICRNL;
  line_set(l, &t);
}

TEST(a_line_is_readable_only_when_it_ends)
{
  struct line *l = fresh();
  bool end;

  type(l, "ab");
  expect(!line_ready(l));
  type(l, "\r");
  expect(line_ready(l));
  expect_eq(line_count(l), 3);
  expect_str(echoed(l), "ab\r\n");
  expect_str(take(l, 100, &end), "ab\n");
  expect(end);
  expect(!line_ready(l));
  free(l);
}

TEST(one_read_gives_one_line)
{
  struct line *l = fresh();
  bool end;

  type(l, "one\ntwo\n");
  expect_str(take(l, 2, &end), "on");
  expect(!end);
  expect_str(take(l, 100, &end), "e\n");
  expect(end);
  expect_str(take(l, 100, &end), "two\n");
  free(l);
}

TEST(end_of_file)
{
  struct line *l = fresh();
  bool end;

  type(l, "abc\004\004");
  expect_eq(line_count(l), 3);
  expect_str(take(l, 3, &end), "abc"); // takes the mark along
  expect(end);
  expect(line_ready(l));
  expect_str(take(l, 3, &end), "");
  expect(end);
  expect(!line_ready(l));
  free(l);
}

TEST(erase_word_and_line)
{
  struct line *l = fresh();
  bool end;

  type(l, "ax\177b");
  expect_str(echoed(l), "ax\b \bb");
  type(l, "\025");
  expect_str(echoed(l), "\b \b\b \b");
  type(l, "foo  bar-baz\027\027X\177\177\n");
  expect_str(take(l, 100, &end), "foo \n");
  type(l, "\177\n"); // nothing left to erase
  expect_str(take(l, 100, &end), "\n");
  free(l);
}

TEST(erase_of_wide_things)
{
  struct line *l = fresh();
  bool end;

  type(l, "ab\t");
  echoed(l);
  type(l, "\177");
  expect_eq((int)strlen(echoed(l)), 6 * 3); // from column 8 back to 2
  type(l, "\026\003");                      // a literal ^C
  expect_str(echoed(l), "^C");
  type(l, "\177");
  expect_str(echoed(l), "\b \b\b \b");
  type(l, "\303\251"); // two bytes, one column
  echoed(l);
  type(l, "\177");
  expect_str(echoed(l), "\b \b");
  type(l, "\n");
  expect_str(take(l, 100, &end), "ab\n");
  free(l);
}

TEST(signals_flush_unless_noflsh)
{
  struct line *l = fresh();
  struct termios t = l->t;
  bool end;

  type(l, "junk\003");
  expect_eq(l->signal, 2);
  expect_str(echoed(l), "junk^C");
  type(l, "\n");
  expect_str(take(l, 100, &end), "\n");
  t.lflag |= NOFLSH;
  line_set(l, &t);
  type(l, "keep\032\n");
  expect_eq(l->signal, 20);
  expect_str(take(l, 100, &end), "keep\n");
  type(l, "\034");
  expect_eq(l->signal, 3);
  free(l);
}

TEST(flow_control_holds_output)
{
  struct line *l = fresh();
  bool end;

  type(l, "\023");
  expect(l->stopped);
  type(l, "x");
  expect(l->stopped);
  type(l, "\021\n");
  expect(!l->stopped);
  expect_str(take(l, 100, &end), "x\n");
  free(l);
}

TEST(raw_mode_passes_everything)
{
  struct line *l = fresh();
  bool end;

  set_raw(l);
  type(l, "\003\004\177\r");
  expect_eq(l->signal, 0);
  expect_eq(line_count(l), 4);
  expect_str(take(l, 100, &end), "\003\004\177\r");
  expect(!end);
  expect_str(echoed(l), "");
  free(l);
}

TEST(switching_modes_keeps_what_was_typed)
{
  struct line *l = fresh();
  struct termios canonical = l->t;
  bool end;

  type(l, "half");
  set_raw(l);
  expect_eq(line_count(l), 4);
  line_set(l, &canonical);
  expect(line_ready(l));
  type(l, "more\n");
  expect_str(take(l, 100, &end), "half");
  expect(end);
  expect_str(take(l, 100, &end), "more\n");
  free(l);
}

TEST(an_endless_line_is_cut_and_still_ends)
{
  struct line *l = fresh();
  bool end;

  for(int i = 0; i < 3 * LINE_SIZE; i++) {
    expect(line_room(l)); // nobody can read yet: it must not block
    type(l, "x");
    echoed(l);
  }
  type(l, "\n");
  expect(!line_room(l));
  expect_eq((int)strlen(take(l, LINE_SIZE, &end)), LINE_SIZE);
  expect(end);
  expect(line_room(l));
  free(l);
}

TEST(kill_of_a_line_too_long_to_rub_out)
{
  struct line *l = fresh();
  bool end;

  for(int i = 0; i < 2000; i++) {
    type(l, "x");
    echoed(l);
  }
  type(l, "\025");
  expect_str(echoed(l), "^U\r\n");
  type(l, "ok\n");
  expect_str(take(l, 100, &end), "ok\n");
  free(l);
}

TEST(positions_wrap)
{
  struct line *l = fresh();
  bool end;

  l->tail = l->canon = l->head = UINT32_MAX - 2;
  type(l, "across\nthe edge\n");
  expect_str(take(l, 100, &end), "across\n");
  expect_str(take(l, 100, &end), "the edge\n");
  free(l);
}

TEST(output_processing)
{
  struct line *l = fresh();
  char out[64];
  size_t used, n;

  n = line_output(l, "a\tb\n", 4, out, sizeof(out), &used);
  expect_eq(used, 4);
  expect(n == 5 && memcmp(out, "a\tb\r\n", 5) == 0);
  l->t.oflag |= TABDLY;
  n = line_output(l, "a\tb", 3, out, sizeof(out), &used);
  expect(n == 9 && memcmp(out, "a       b", 9) == 0);
  n = line_output(l, "\t\t\t\t", 4, out, 17, &used); // as much as fits
  expect(n <= 17 && used < 4);
  l->t.oflag = 0;
  n = line_output(l, "\n\t", 2, out, sizeof(out), &used);
  expect(n == 2 && memcmp(out, "\n\t", 2) == 0);
  free(l);
}

TEST(random_typing_never_breaks_it)
{
  struct line *l = fresh();
  uint32_t seed = 1;
  char buf[100];
  bool end;

  for(int i = 0; i < 300000; i++) {
    seed = seed * 1664525 + 1013904223;
    line_input(l, seed >> 24 & 0x7f);
    if((seed >> 8 & 15) == 0)
      line_take(l, buf, seed >> 12 & 63, &end);
    if((seed >> 8 & 255) == 1)
      line_echoed(l, buf, sizeof(buf));
    if((seed >> 8 & 1023) == 2) {
      struct termios t = l->t;

      t.lflag ^= ICANON;
      line_set(l, &t);
    }
    if(l->head - l->tail > LINE_SIZE || l->canon - l->tail > l->head - l->tail || l->necho > LINE_ECHO) {
      test_fail(__FILE__, __LINE__, "step %d: tail %u canon %u head %u", i, l->tail, l->canon, l->head);
      break;
    }
  }
  free(l);
}
