#!/bin/sh
# all -- run every guest test beside this script, or those named. usage: all [-soak | -minutes] [program...]
cd "$(dirname "$0")" || exit 2
T_SOAK=0
[ "${1:-}" = -soak ] && { T_SOAK=1; shift; }
[ "${1:-}" = -minutes ] && { T_SOAK=2; shift; }
export T_SOAK
bad=0
if [ $# = 0 ]; then
  set -- *.t
fi
for t in "$@"; do
  "./${t%.t}.t" || bad=1
done
exit $bad
