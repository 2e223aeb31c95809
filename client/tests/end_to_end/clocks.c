/* A machine whose civil clock is wrong by WRONG_BY seconds; to be preloaded. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
    long done = syscall(SYS_clock_gettime, clock, now);
    const char *wrong_by = getenv("WRONG_BY");
    if (done == 0 && clock == CLOCK_REALTIME && wrong_by)
        now->tv_sec += atol(wrong_by);
    return (int)done;
}
