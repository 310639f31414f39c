// date.h -- a moment, field by field.
#pragma once
#include "types.h"
struct rtcdate {
  uint second, minute, hour, day, month, year;
};
