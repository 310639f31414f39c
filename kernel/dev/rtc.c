// rtc.c -- the battery clock, read once at start: the only source of wall-clock time.
// Typical: rtc_init() after clock_init().
#include "core/cpu.h"
#include "core/print.h"
#include "core/time.h"
#include "dev/dev.h"
#include "lib/string.h"

enum {
  CMOS_INDEX = 0x70,
  CMOS_DATA = 0x71,
  RTC_SECOND = 0,
  RTC_MINUTE = 2,
  RTC_HOUR = 4,
  RTC_DAY = 7,
  RTC_MONTH = 8,
  RTC_YEAR = 9,
  RTC_A = 10,
  RTC_B = 11,
  A_UPDATING = 0x80,
  B_BINARY = 4,
  B_24_HOURS = 2,
  HOUR_PM = 0x80,
  CENTURY = 2000, // the chip keeps two digits
  TRIES = 10,
  SPINS = 100000,
};
enum { MONTHS = 12, NOON = 12, DAY_SECONDS = 86400, HOUR_SECONDS = 3600, MINUTE_SECONDS = 60 };

struct rtc_time { // compared as bytes: no padding
  uint8_t second, minute, hour, day, month, year;
};

static uint8_t
cmos_read(uint8_t reg)
{
  port_out8(CMOS_INDEX, reg);
  return port_in8(CMOS_DATA);
}

static void
rtc_sample(struct rtc_time *t)
{
  for(int i = 0; i < SPINS && (cmos_read(RTC_A) & A_UPDATING); i++)
    cpu_relax();
  t->second = cmos_read(RTC_SECOND);
  t->minute = cmos_read(RTC_MINUTE);
  t->hour = cmos_read(RTC_HOUR);
  t->day = cmos_read(RTC_DAY);
  t->month = cmos_read(RTC_MONTH);
  t->year = cmos_read(RTC_YEAR);
}

static uint8_t
from_bcd(uint8_t v)
{
  return (v >> 4) * 10 + (v & 0xf);
}

// The chip's registers as plain numbers, whatever mode it is in.
static void
rtc_decode(struct rtc_time *t, uint8_t mode)
{
  bool pm = !(mode & B_24_HOURS) && (t->hour & HOUR_PM);

  t->hour &= ~HOUR_PM;
  if(!(mode & B_BINARY))
    for(uint8_t *f = &t->second; f <= &t->year; f++)
      *f = from_bcd(*f);
  if(!(mode & B_24_HOURS))
    t->hour = t->hour % NOON + (pm ? NOON : 0);
}

// Days from 1970-01-01 to a date: years begin in March, so that a leap day comes last.
static int64_t
days_since_1970(int year, int month, int day)
{
  enum { DAYS_400 = 146097, EPOCH = 719468, MARCH = 3, YEAR_DAYS = 365 };
  int shifted = (month + MONTHS - MARCH) % MONTHS, y = year - (month < MARCH);
  int in_year = (153 * shifted + 2) / 5 + day - 1; // 153 days every 5 months from March on

  return (int64_t)(y / 400) * DAYS_400 + y % 400 * YEAR_DAYS + y % 400 / 4 - y % 400 / 100 + in_year - EPOCH;
}

void
rtc_init(void)
{
  struct rtc_time a, b;
  int64_t seconds;

  rtc_sample(&a);
  for(int i = 0; i < TRIES; i++) { // two equal readings: no update came between
    b = a;
    rtc_sample(&a);
    if(memcmp(&a, &b, sizeof(a)) == 0)
      break;
  }
  rtc_decode(&a, cmos_read(RTC_B));
  if(a.month < 1 || a.month > MONTHS || a.day < 1) {
    print("rtc: no sensible date; time starts at 1970\n");
    return;
  }
  seconds = days_since_1970(CENTURY + a.year, a.month, a.day) * DAY_SECONDS + a.hour * HOUR_SECONDS +
            a.minute * MINUTE_SECONDS + a.second;
  clock_set_wall(seconds * NSEC);
}
