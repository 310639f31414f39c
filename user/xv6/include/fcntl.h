// fcntl.h -- how open() opens.
#pragma once
#define O_RDONLY 0x000
#define O_WRONLY 0x001
#define O_RDWR   0x002
#define O_CREATE 0x200 // make the file if it is not there; never shortens it
