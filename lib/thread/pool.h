/* The context's threads. One operation at a time is cut into tiles; tiles are handed out by one
 * atomic counter, so that a slow core delays nobody. Which thread computes a tile never changes a
 * result. */
#ifndef SPRAT__POOL_H
#define SPRAT__POOL_H

#include "base/alloc.h"
#include "os/thread.h"

#include <stdatomic.h>

struct sprat__pool;

enum { SPRAT__POOL_MOST_THREADS = 256 };

/* n_threads, 1 to SPRAT__POOL_MOST_THREADS, counts the caller: 1 creates no thread. NO_THREAD if
 * one could not be started (nothing is left running). */
sprat_status sprat__pool_create(struct sprat__pool **out, struct sprat__mem *mem,
                                uint32_t n_threads, struct sprat__err *err);
/* The same with another way to start threads, for tests. */
sprat_status sprat__pool_create_with(struct sprat__pool **out, struct sprat__mem *mem,
                                     uint32_t n_threads, sprat__thread_starter *start,
                                     struct sprat__err *err);
/* No operation may be running. NULL is allowed. */
void sprat__pool_destroy(struct sprat__pool *pool);
/* Changes the number of threads between two operations, waiting for the one under way. On failure
 * the old threads stay. NO_MEMORY OVER_BUDGET NO_THREAD. */
sprat_status sprat__pool_resize(struct sprat__pool *pool, uint32_t n_threads,
                                struct sprat__err *err);
uint32_t sprat__pool_threads(const struct sprat__pool *pool);
/* How many of them compute at once: no more than the processors that were available when the number
 * was set, but two where there are two. */
uint32_t sprat__pool_at_once(const struct sprat__pool *pool);

/* Calls tile(argument, i) for every i below n_tiles, on the pool's threads and the caller; returns
 * when all are done. cancel: polled before every tile; once it is not 0 the remaining tiles are
 * skipped and the result is CANCELLED (some tiles may have run); if none is left to skip it is
 * OK. cancel may be NULL. Callers from several threads queue; a tile must not call it. Allocates
 * nothing. The caller's and the workers' floating-point state is
 * the default one (round to nearest, no flush to zero) inside tiles. */
sprat_status sprat__pool_run(struct sprat__pool *pool, void (*tile)(void *argument, size_t i),
                             void *argument, size_t n_tiles, const _Atomic int32_t *cancel);

#endif
