/* Owns the clock: monotonic, for statistics and short waits; never the time of day. */
#define _POSIX_C_SOURCE 200809L
#include "os/clock.h"

#include <time.h>

uint64_t sprat__now_ns(void)
{
    struct timespec t;
    if (clock_gettime(CLOCK_MONOTONIC, &t) != 0)
        return 0;
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
