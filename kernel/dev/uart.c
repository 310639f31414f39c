// uart.c -- the 16550 on COM1: the kernel's messages by polling, the terminal by interrupts.
// Typical: uart_init() before anything else prints; uart_start() once threads run.
// Messages come from any context, even a panic with another CPU stopped in the middle of a burst, so the chip is
// guarded by a flag that is waited for only so long. A message that comes while the terminal's line is unfinished
// starts a new one.
// Must not know what a line is for the one who types it.
#include "core/cpu.h"
#include "core/print.h"
#include "core/wait.h"
#include "dev/dev.h"
#include "dev/tty.h"
#include "lib/atomic.h"

enum {
  COM1 = 0x3f8,
  COM1_IRQ = 4,
  UART_DATA = 0, // also divisor low
  UART_IER = 1,  // interrupt enable; also divisor high
  UART_IIR = 2,  // read: why
  UART_FCR = 2,  // write: FIFO control
  UART_LCR = 3,
  UART_MCR = 4,
  UART_LSR = 5,
  UART_SCRATCH = 7,
  IER_RX = 1,
  IER_TX = 2,
  IIR_NONE = 1,
  IIR_FIFO = 0xc0,
  FCR_ON = 0xc7, // on, both cleared, interrupt at 14 bytes or a pause
  LCR_8N1 = 3,
  LCR_DIVISOR = 0x80,
  MCR_ON = 0xb, // DTR, RTS, OUT2: the last lets interrupts out
  LSR_DATA = 1,
  LSR_EMPTY = 0x20, // the whole FIFO is
  FIFO = 16,
  PROBE = 0x5a,
  GUARD_SPINS = 1 << 16,
  EMPTY_SPINS = 1 << 20,
  REASONS_MAX = 256, // in one interrupt
};
#define RETRY (100 * MSEC) // a lost interrupt costs no more

static struct {
  bool present;    // (c) after uart_init
  bool busy;       // (a) the guard
  int fifo;        // (c) bytes the chip takes when it is empty
  int room;        // (busy) bytes it takes now without a look
  uint8_t ier;     // (busy) interrupts that are on
  bool unfinished; // (busy) the terminal's last byte did not end a line
  struct waitq drained;
} uart;

static uint8_t
uart_in(int reg)
{
  return port_in8(COM1 + reg);
}

static void
uart_out(int reg, uint8_t v)
{
  port_out8(COM1 + reg, v);
}

// Interrupts off and the chip ours; false: it is not, after a long time, and only a panic goes on then.
static bool
uart_enter(void)
{
  irq_off();
  for(int i = 0; i < GUARD_SPINS; i++) {
    if(!atomic_swap(&uart.busy, true))
      return true;
    cpu_relax();
  }
  return false;
}

static void
uart_leave(bool entered)
{
  if(entered)
    atomic_set(&uart.busy, false);
  irq_restore();
}

static void
uart_interrupts(uint8_t ier)
{
  if(ier != uart.ier)
    uart_out(UART_IER, ier);
  uart.ier = ier;
}

static bool
uart_has_room(void)
{
  if(uart.room == 0 && (uart_in(UART_LSR) & LSR_EMPTY))
    uart.room = uart.fifo;
  return uart.room > 0;
}

// Polled: waits for room, but not for ever.
static void
uart_put(char c)
{
  for(int i = 0; i < EMPTY_SPINS && !uart_has_room(); i++)
    cpu_relax();
  uart_out(UART_DATA, c);
  uart.room -= uart.room > 0;
}

static void
uart_message(const char *s, size_t n)
{
  bool entered = uart_enter();

  if(uart.unfinished && n > 0) {
    uart_put('\r');
    uart_put('\n');
    uart.unfinished = false;
  }
  for(size_t i = 0; i < n; i++) {
    if(s[i] == '\n')
      uart_put('\r');
    uart_put(s[i]);
  }
  uart_leave(entered);
}

void
uart_init(void)
{
  uart_out(UART_SCRATCH, PROBE);
  if(uart_in(UART_SCRATCH) != PROBE)
    return;
  uart_out(UART_IER, 0);
  uart_out(UART_LCR, LCR_DIVISOR);
  uart_out(UART_DATA, 1); // 115200
  uart_out(UART_IER, 0);
  uart_out(UART_LCR, LCR_8N1);
  uart_out(UART_FCR, FCR_ON);
  uart_out(UART_MCR, MCR_ON);
  uart.fifo = (uart_in(UART_IIR) & IIR_FIFO) == IIR_FIFO ? FIFO : 1;
  uart.present = true;
  print_add_sink(uart_message, false);
}

// ---- the terminal's wire

// As much of s as goes now: bytes; less than n: an interrupt tells when there is room.
static size_t
uart_burst(const char *s, size_t n)
{
  bool entered = uart_enter();
  size_t done = 0;

  while(done < n && uart_has_room()) {
    uart_out(UART_DATA, s[done++]);
    uart.room--;
  }
  if(done > 0)
    uart.unfinished = s[done - 1] != '\n';
  if(done < n)
    uart_interrupts(uart.ier | IER_TX);
  uart_leave(entered);
  return done;
}

static bool
uart_drained(void)
{
  bool entered = uart_enter(), room = uart_has_room();

  uart_leave(entered);
  return room;
}

// Sleeps until the chip has taken all of it. What is left when the caller is being killed is dropped.
static void
uart_write(const char *s, size_t n)
{
  while(uart.present && n > 0) {
    size_t k = uart_burst(s, n);

    s += k;
    n -= k;
    if(n > 0 && wait_event(&uart.drained, uart_drained(), WAIT_KILLABLE, clock_now() + RETRY) != 0 &&
       thread_interrupted(WAIT_KILLABLE))
      return;
  }
}

static void
uart_resume(void)
{
  bool entered = uart_enter();

  uart_interrupts(uart.ier | IER_RX);
  uart_leave(entered);
}

// Hand on what came. Without room for it the chip keeps it, and so does whoever sends; uart_resume goes on. Room that
// appeared just before the interrupt was masked would have gone unnoticed: look again.
static void
uart_receive(void)
{
  bool entered;

  while(uart_in(UART_LSR) & LSR_DATA) {
    if(tty_room()) {
      tty_input(uart_in(UART_DATA));
      continue;
    }
    entered = uart_enter();
    uart_interrupts(uart.ier & ~IER_RX);
    uart_leave(entered);
    if(!tty_room())
      return;
    uart_resume();
  }
}

// The line is edge-triggered: all reasons must be gone on return, or the next edge never comes.
static void
uart_interrupt(void *arg)
{
  bool entered;

  for(int i = 0; i < REASONS_MAX && !(uart_in(UART_IIR) & IIR_NONE); i++) {
    uart_receive();
    if(uart_in(UART_LSR) & LSR_EMPTY) {
      entered = uart_enter();
      uart_interrupts(uart.ier & ~IER_TX);
      uart_leave(entered);
      waitq_wake(&uart.drained);
    }
  }
}

void
uart_start(void)
{
  static const struct tty_wire wire = {uart_write, uart_resume};
  int err;

  waitq_init(&uart.drained);
  tty_init(&wire);
  if(!uart.present)
    return;
  err = irq_request_legacy(COM1_IRQ, uart_interrupt, 0);
  if(err)
    print("uart: no interrupt (error %d); the console is deaf\n", -err);
  uart_resume();
}
