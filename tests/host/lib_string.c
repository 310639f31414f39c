// lib_string.c -- the kernel's string.c under other names, so that lib_test.c can compare it with the host's.
#include <stddef.h>
#define memcpy  k_memcpy
#define memmove k_memmove
#define memset  k_memset
#define memcmp  k_memcmp
#define memchr  k_memchr
#define strlen  k_strlen
#define strnlen k_strnlen
#define strcmp  k_strcmp
#define strncmp k_strncmp
#define strchr  k_strchr
#define strrchr k_strrchr
#define strstr  k_strstr
#define strlcpy k_strlcpy
#include "../../kernel/lib/string.c"
