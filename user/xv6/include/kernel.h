// kernel.h -- instead of the headers of xv6's kernel (defs.h, proc.h and the like): a sentence.
#error                                                                                                                 \
    "this header describes the inside of xv6's kernel, which is not there: a program includes user.h and calls what it declares"
