// A disk that stalls, preloaded into a daemon. fsync() and fdatasync() wait for the milliseconds that the file named by
// SLOW_FSYNC has at that moment. Without the file they do not wait.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void stall(void) {
  const char* path = getenv("SLOW_FSYNC");
  FILE* file = path == NULL ? NULL : fopen(path, "re");
  long ms = 0;
  if (file == NULL) return;
  if (fscanf(file, "%ld", &ms) == 1 && ms > 0) {
    struct timespec left = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&left, &left) != 0) {
    }
  }
  fclose(file);
}

int fsync(int fd) {
  stall();
  return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd) {
  stall();
  return (int)syscall(SYS_fdatasync, fd);
}
