// line.c -- the line discipline: editing, echo, special characters, output processing, as POSIX and Linux have them.
// Typical: see line.h. A tty owns one under its lock; tests/host/tty_test.c drives it directly.
// Must not know who types or reads, and never waits. Special characters whose cc is 0 are off.
#include "dev/line.h"
#include "lib/bitmap.h"
#include "lib/string.h"

enum { BELL = 7, BACKSPACE = 8, BLANK = 32, DELETE = 127, CTRL = 0x40, TAB = 8 };
enum { SIGNAL_INT = 2, SIGNAL_QUIT = 3, SIGNAL_STOP = 20 }; // Linux's SIGINT, SIGQUIT, SIGTSTP
enum { SPEED_115200 = 010002, EIGHT_BITS = 060, RECEIVE = 0200, HANG_UP = 02000 };
enum { UTF8_TOP = 0xc0, UTF8_MORE = 0x80 };

void
line_init(struct line *l)
{
  static const struct termios usual = {
      .iflag = ICRNL | IXON | IMAXBEL | IUTF8,
      .oflag = OPOST | ONLCR,
      .cflag = SPEED_115200 | EIGHT_BITS | RECEIVE | HANG_UP,
      .lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
      .cc =
          {
              [VINTR] = 'C' ^ CTRL,
              [VQUIT] = '\\' ^ CTRL,
              [VERASE] = DELETE,
              [VKILL] = 'U' ^ CTRL,
              [VEOF] = 'D' ^ CTRL,
              [VMIN] = 1,
              [VSTART] = 'Q' ^ CTRL,
              [VSTOP] = 'S' ^ CTRL,
              [VSUSP] = 'Z' ^ CTRL,
              [VREPRINT] = 'R' ^ CTRL,
              [VDISCARD] = 'O' ^ CTRL,
              [VWERASE] = 'W' ^ CTRL,
              [VLNEXT] = 'V' ^ CTRL,
          },
  };

  memset(l, 0, sizeof(*l));
  l->t = usual;
}

static bool
has(const struct line *l, uint32_t local)
{
  return l->t.lflag & local;
}

// ---- the wire's side

static bool
utf8_more(const struct line *l, uint8_t c) // a further byte of a character: takes no column
{
  return (l->t.iflag & IUTF8) && (c & UTF8_TOP) == UTF8_MORE;
}

// What byte c becomes on the wire: at most LINE_POST_MAX bytes, counted.
static size_t
line_post(struct line *l, uint8_t c, char *out)
{
  int blanks;

  out[0] = c;
  if(!(l->t.oflag & OPOST))
    return 1;
  switch(c) {
  case '\n':
    if(l->t.oflag & (ONLCR | ONLRET))
      l->column = 0;
    if(!(l->t.oflag & ONLCR))
      return 1;
    out[0] = '\r';
    out[1] = '\n';
    return 2;
  case '\r':
    if((l->t.oflag & ONOCR) && l->column == 0)
      return 0;
    if(l->t.oflag & OCRNL)
      out[0] = '\n';
    else
      l->column = 0;
    return 1;
  case '\t':
    blanks = TAB - l->column % TAB;
    l->column += blanks;
    if((l->t.oflag & TABDLY) != TABDLY)
      return 1;
    memset(out, ' ', blanks);
    return blanks;
  case BACKSPACE: l->column -= l->column > 0; return 1;
  default: l->column += c >= BLANK && c != DELETE && !utf8_more(l, c); return 1;
  }
}

size_t
line_output(struct line *l, const char *in, size_t n, char *out, size_t room, size_t *used)
{
  size_t done = 0, i;

  for(i = 0; i < n && done + LINE_POST_MAX <= room; i++)
    done += line_post(l, in[i], out + done);
  *used = i;
  return done;
}

static void
echo_raw(struct line *l, uint8_t c)
{
  if(l->necho + LINE_POST_MAX <= sizeof(l->echo))
    l->necho += line_post(l, c, l->echo + l->necho);
}

static bool
shown_as_control(const struct line *l, uint8_t c)
{
  return has(l, ECHOCTL) && ((c < BLANK && c != '\t') || c == DELETE);
}

static void
echo_visible(struct line *l, uint8_t c)
{
  if(shown_as_control(l, c)) {
    echo_raw(l, '^');
    c ^= CTRL;
  }
  echo_raw(l, c);
}

// Echo an ordinary character; a line that starts remembers where.
static void
line_echo(struct line *l, uint8_t c)
{
  if(has(l, ECHO)) {
    if(l->head == l->canon)
      l->edit_column = l->column;
    if(c == '\n')
      echo_raw(l, c);
    else
      echo_visible(l, c);
  } else if(c == '\n' && has(l, ECHONL)) {
    echo_raw(l, c);
  }
}

size_t
line_echoed(struct line *l, char *buf, size_t n)
{
  n = min(n, l->necho);
  memcpy(buf, l->echo, n);
  l->necho -= n;
  memmove(l->echo, l->echo + n, l->necho);
  return n;
}

// ---- the buffer

static uint8_t
at(const struct line *l, uint32_t pos)
{
  return l->buf[pos % LINE_SIZE];
}

static bool
ends_at(const struct line *l, uint32_t pos)
{
  return bitmap_test(l->ends, pos % LINE_SIZE);
}

static void
put(struct line *l, uint8_t c, bool end)
{
  uint32_t k = l->head++ % LINE_SIZE;

  l->buf[k] = c;
  if(end)
    bitmap_set(l->ends, k);
  else
    bitmap_clear(l->ends, k);
  if(end || !has(l, ICANON))
    l->canon = l->head;
}

void
line_flush(struct line *l)
{
  l->tail = l->canon = l->head;
  l->literal = false;
}

bool
line_room(const struct line *l)
{
  return l->head - l->tail < LINE_SIZE - 1 || (has(l, ICANON) && l->canon == l->tail);
}

bool
line_ready(const struct line *l)
{
  return l->canon != l->tail;
}

size_t
line_count(const struct line *l)
{
  size_t n = 0;

  for(uint32_t pos = l->tail; pos != l->canon; pos++)
    n += !(ends_at(l, pos) && at(l, pos) == 0);
  return n;
}

size_t
line_take(struct line *l, char *buf, size_t n, bool *end)
{
  size_t got = 0;

  *end = false;
  while(l->tail != l->canon && !*end) {
    uint8_t c = at(l, l->tail);
    bool last = ends_at(l, l->tail), eof = last && c == 0;

    if(got == n && !eof) // an end of file right behind the last byte wanted goes with it
      break;
    l->tail++;
    if(!eof)
      buf[got++] = c;
    *end = last && has(l, ICANON);
  }
  return got;
}

void
line_set(struct line *l, const struct termios *t)
{
  bool was = has(l, ICANON), is = t->lflag & ICANON;

  l->t = *t;
  if(!was && is && l->head != l->tail) // what is there counts as a line
    bitmap_set(l->ends, (l->head - 1) % LINE_SIZE);
  if(was != is)
    l->canon = l->head;
  if(!(t->iflag & IXON))
    l->stopped = false;
}

// ---- editing

// Columns that [canon, end) takes on the screen.
static int
columns(const struct line *l, uint32_t end)
{
  int col = l->edit_column;

  for(uint32_t pos = l->canon; pos != end; pos++) {
    uint8_t c = at(l, pos);

    if(c == '\t')
      col += TAB - col % TAB;
    else if(shown_as_control(l, c))
      col += 2;
    else
      col += c >= BLANK && c != DELETE && !utf8_more(l, c);
  }
  return col - l->edit_column;
}

// Cut the edited line at `end`, on the screen too if that is how it is shown: false if it did not fit into the echo.
static bool
cut(struct line *l, uint32_t end, bool show)
{
  enum { RUB_OUT = 3 };
  int n = show ? columns(l, l->head) - columns(l, end) : 0;
  bool fits = l->necho + n * RUB_OUT + LINE_POST_MAX <= sizeof(l->echo);

  l->head = end;
  for(int i = 0; fits && i < n; i++) {
    echo_raw(l, BACKSPACE);
    echo_raw(l, ' ');
    echo_raw(l, BACKSPACE);
  }
  return fits;
}

static uint32_t
before(const struct line *l, uint32_t end) // start of the character that ends at `end`
{
  while(--end != l->canon && utf8_more(l, at(l, end)))
    ;
  return end;
}

static bool
is_word(uint8_t c)
{
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= UTF8_MORE;
}

static void
erase_word(struct line *l)
{
  uint32_t end = l->head;

  while(end != l->canon && !is_word(at(l, end - 1)))
    end--;
  while(end != l->canon && is_word(at(l, end - 1)))
    end--;
  cut(l, end, has(l, ECHO));
}

static void
kill_line(struct line *l)
{
  if(cut(l, l->canon, has(l, ECHO) && has(l, ECHOKE) && has(l, ECHOE)) && has(l, ECHOKE) && has(l, ECHOE))
    return;
  if(has(l, ECHO))
    echo_visible(l, l->t.cc[VKILL]);
  if(has(l, ECHO) && has(l, ECHOK))
    echo_raw(l, '\n');
}

static void
erase_character(struct line *l)
{
  if(l->head == l->canon)
    return;
  cut(l, before(l, l->head), has(l, ECHO) && has(l, ECHOE));
  if(has(l, ECHO) && !has(l, ECHOE))
    echo_visible(l, l->t.cc[VERASE]);
}

static void
reprint(struct line *l)
{
  echo_visible(l, l->t.cc[VREPRINT]);
  echo_raw(l, '\n');
  l->edit_column = 0;
  for(uint32_t pos = l->canon; pos != l->head; pos++)
    echo_visible(l, at(l, pos));
}

static void
store(struct line *l, uint8_t c)
{
  if(l->head - l->tail >= LINE_SIZE - 1) { // one place is kept for the line's end
    if(l->t.iflag & IMAXBEL)
      echo_raw(l, BELL);
    return;
  }
  line_echo(l, c);
  put(l, c, false);
}

static void
end_line(struct line *l, uint8_t c)
{
  if(l->head - l->tail >= LINE_SIZE)
    return;
  if(c != 0)
    line_echo(l, c);
  put(l, c, true);
}

// ---- special characters

static bool
is(const struct line *l, uint8_t c, int which)
{
  return c != 0 && l->t.cc[which] == c;
}

// Flow control: true if c was it.
static bool
input_flow(struct line *l, uint8_t c)
{
  if(!(l->t.iflag & IXON))
    return false;
  if(is(l, c, VSTART) || is(l, c, VSTOP)) {
    l->stopped = !is(l, c, VSTART);
    return true;
  }
  if(l->t.iflag & IXANY)
    l->stopped = false;
  return false;
}

static bool
input_signal(struct line *l, uint8_t c)
{
  int sig = is(l, c, VINTR) ? SIGNAL_INT : is(l, c, VQUIT) ? SIGNAL_QUIT : is(l, c, VSUSP) ? SIGNAL_STOP : 0;

  if(sig == 0 || !has(l, ISIG))
    return false;
  if(!has(l, NOFLSH))
    line_flush(l);
  l->stopped = false;
  if(has(l, ECHO))
    echo_visible(l, c);
  l->signal = sig;
  return true;
}

static bool
input_edit(struct line *l, uint8_t c)
{
  if(is(l, c, VERASE))
    erase_character(l);
  else if(is(l, c, VKILL))
    kill_line(l);
  else if(is(l, c, VWERASE) && has(l, IEXTEN))
    erase_word(l);
  else if(is(l, c, VREPRINT) && has(l, IEXTEN) && has(l, ECHO))
    reprint(l);
  else if(is(l, c, VLNEXT) && has(l, IEXTEN))
    l->literal = true;
  else if(is(l, c, VEOF))
    end_line(l, 0);
  else if(c == '\n' || is(l, c, VEOL) || (is(l, c, VEOL2) && has(l, IEXTEN)))
    end_line(l, c);
  else
    return false;
  return true;
}

void
line_input(struct line *l, uint8_t c)
{
  enum { SEVEN_BITS = 0x7f };

  if(l->t.iflag & ISTRIP)
    c &= SEVEN_BITS;
  if(l->literal) {
    l->literal = false;
    store(l, c);
    return;
  }
  if(input_flow(l, c) || input_signal(l, c))
    return;
  if(c == '\r') {
    if(l->t.iflag & IGNCR)
      return;
    if(l->t.iflag & ICRNL)
      c = '\n';
  } else if(c == '\n' && (l->t.iflag & INLCR)) {
    c = '\r';
  }
  if(!has(l, ICANON) || !input_edit(l, c))
    store(l, c);
}
