// line.h -- the line discipline by itself: what typed characters become, and what written ones look like on the wire.
// Typical: line_input(l, c), then send l->signal and what line_echoed gives; line_ready / line_take for a reader.
// Pure: no lock, no waiting, no device. The caller's lock covers all of it.
#pragma once
#include "lib/util.h"

enum { // Linux's positions in cc
  VINTR,
  VQUIT,
  VERASE,
  VKILL,
  VEOF,
  VTIME,
  VMIN,
  VSWTC,
  VSTART,
  VSTOP,
  VSUSP,
  VEOL,
  VREPRINT,
  VDISCARD,
  VWERASE,
  VLNEXT,
  VEOL2,
  NCC = 19,
};
enum { // iflag
  ISTRIP = 040,
  INLCR = 0100,
  IGNCR = 0200,
  ICRNL = 0400,
  IXON = 02000,
  IXANY = 04000,
  IMAXBEL = 020000,
  IUTF8 = 040000,
};
enum { // oflag
  OPOST = 01,
  ONLCR = 04,
  OCRNL = 010,
  ONOCR = 020,
  ONLRET = 040,
  TABDLY = 014000, // both bits: tabs become blanks
};
enum { // lflag
  ISIG = 01,
  ICANON = 02,
  ECHO = 010,
  ECHOE = 020,
  ECHOK = 040,
  ECHONL = 0100,
  NOFLSH = 0200,
  TOSTOP = 0400,
  ECHOCTL = 01000,
  ECHOKE = 04000,
  IEXTEN = 0100000,
};

struct termios { // Linux's, as TCGETS has it
  uint32_t iflag, oflag, cflag, lflag;
  uint8_t line, cc[NCC];
};

enum { LINE_SIZE = 4096, LINE_ECHO = 1024, LINE_POST_MAX = 8 };
struct line {
  struct termios t;
  // Positions run freely; byte p is buf[p % LINE_SIZE]. [tail, canon) can be read, [canon, head) is being edited.
  uint32_t tail, canon, head;
  uint8_t buf[LINE_SIZE];
  uint8_t ends[LINE_SIZE / 8]; // bit per byte: a line ends here; if the byte is 0, by the EOF character
  int column, edit_column;     // of the cursor; where the edited line began
  bool literal;                // the next character has no meaning (VLNEXT)
  bool stopped;                // output is held (IXON)
  int signal;                  // to the foreground group; the caller sends it and sets 0
  size_t necho;
  char echo[LINE_ECHO];
};

void line_init(struct line *l);
void line_set(struct line *l, const struct termios *t);
void line_input(struct line *l, uint8_t c); // one character came
bool line_room(const struct line *l);       // may another come without being lost for want of a reader?
bool line_ready(const struct line *l);      // canonical: a whole line; else a byte
size_t line_count(const struct line *l);    // bytes that can be read (FIONREAD)
// Move up to n bytes out; canonical: of one line. *end: that line's end was passed (0 bytes then mean end of file).
size_t line_take(struct line *l, char *buf, size_t n, bool *end);
void line_flush(struct line *l);                         // forget all input
size_t line_echoed(struct line *l, char *buf, size_t n); // take echo: bytes
// Process output: `in` to at most `room` (at least LINE_POST_MAX) bytes of out. Bytes put; *used: taken.
size_t line_output(struct line *l, const char *in, size_t n, char *out, size_t room, size_t *used);
