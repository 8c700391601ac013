/* How many threads are worth having on this machine, for this process. */
#ifndef SPRAT__TOPOLOGY_H
#define SPRAT__TOPOLOGY_H

#include <stddef.h>
#include <stdint.h>

/* The processors this process may run on (affinity), of these only the fast ones where the machine
 * has fast and slow, and no more than its CPU quota (control groups) pays for, rounded up. At least
 * 1, at most 256. */
uint32_t sprat__available_cores(void);

/* The same for a file tree that begins at root (at most 256 bytes; "" for the machine's) and a mask
 * of n_words × 64 allowed processors. */
uint32_t sprat__topology_cores(const char *root, const uint64_t *mask, size_t n_words);

#endif
