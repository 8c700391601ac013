/* Between the parts of examples/bench: threads that begin together, and the loops that find the
 * machine's limits. */
#ifndef SPRAT_BENCH_PROBE_H
#define SPRAT_BENCH_PROBE_H

#include "bench_inside.h"

#include "kernel/kernel.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads n bytes, a multiple of 4096 at an address that is one of 64, as one stream or as four. The
 * result depends on all of them. */
typedef uint64_t probe_read_fn(const uint8_t *data, size_t n);

/* Runs independent chains of the set's best multiply-add of 8-bit integers, n times each. The
 * result is how many multiply-adds that were. */
typedef uint64_t probe_peak_fn(size_t n);

/* The loops of one set of instructions. */
struct probe_loops {
    const char *set, *instruction;
    uint32_t need; /* SPRAT__CPU_... */
    probe_read_fn *read_one, *read_four;
    probe_peak_fn *peak;
    probe_peak_fn *float_peak; /* with binary32: a product, then a sum, each rounded */
};

/* Of this processor's kind, in the order of the library's sets; the last has no set. */
extern const struct probe_loops probe_loops_x86[], probe_loops_arm[], probe_loops_plain[];

/* Calls part(argument, thread, n_threads) on n_threads threads that begin together; the seconds
 * from the first one's begin to the last one's end, or a negative number if a thread could not be
 * started. */
double probe_crew(unsigned n_threads, void (*part)(void *argument, unsigned thread, unsigned n),
                  void *argument);

/* Seconds this thread has computed: what others do on the processor meanwhile does not count. */
double probe_own_time(void);
/* Seconds of the clock that never goes back. */
double probe_now(void);

/* The buffer, filled with bytes from 0x20 to 0x3f, so that scales of every type of weights are
 * ordinary numbers. */
const uint8_t *probe_buffer(const struct probe *probe);

/* The features of this processor, and the cap. */
const struct sprat__cpu *probe_cpu(const struct probe *probe);
const char *probe_cap(const struct probe *probe);

/* The best of several on this thread, in its own time, by the loops of the best set up to this one,
 * by name: operations a second in 8-bit integers; bytes a second of n bytes read again and again.
 */
double probe_set_peak(const struct probe *probe, const char *set, bool is_float);
double probe_set_read(const struct probe *probe, const char *set, const uint8_t *data, size_t n);
/* Bytes a second of the buffer, likewise. */
double probe_memory_read(struct probe *probe);

#endif
