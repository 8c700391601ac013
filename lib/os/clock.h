/* Monotonic time in nanoseconds from an arbitrary start. */
#ifndef SPRAT__CLOCK_H
#define SPRAT__CLOCK_H

#include <stdint.h>

uint64_t sprat__now_ns(void);

#endif
