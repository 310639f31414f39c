// run.h -- another program, run to its end. Apart from the kernel's headers, whose names the host's would meet.
#pragma once
#include <stddef.h>

// Its exit status, with what it printed in said[0 .. n), ended by 0. -1: it could not be started, or was killed.
int run_program(char *const argv[], char *said, size_t n);
