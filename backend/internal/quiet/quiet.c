#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#ifdef __linux__
static int held = -1;

// Nothing but system calls here: the C library itself is not initialised yet.
static void stderr_off(int argc, char **argv, char **environment) {
  (void)argc;
  (void)argv;
  for (; *environment; environment++) {
    if (strncmp(*environment, "TF_CPP_MIN_LOG_LEVEL=0", 22) == 0) return;
  }
  int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (null < 0) return;
  held = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
  if (held >= 0) dup2(null, STDERR_FILENO);
  close(null);
}

// Functions named in this section of a program run before the initialisers of its libraries.
__attribute__((section(".preinit_array"), used)) static void (*hook)(int, char **, char **) =
    stderr_off;

int cnnlab_stderr_on(void) {
  if (held < 0) return 0;
  int done = dup2(held, STDERR_FILENO);
  close(held);
  held = -1;
  return done;
}
#else
int cnnlab_stderr_on(void) { return 0; }
#endif
