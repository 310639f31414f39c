// where.c -- reads the file that lies beside it.
#include "types.h"
#include "user.h"

char buf[100];

void
main(int argc, char *argv[])
{
  int n = read(open(argc > 1 ? argv[1] : "beside", 0), buf, sizeof(buf));

  write(1, buf, n);
}
