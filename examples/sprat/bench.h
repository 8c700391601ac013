/* sprat bench: what was measured, and the ways it is told. cmd_bench.c measures; the others here
 * write. */
#ifndef SPRAT_BENCH_H
#define SPRAT_BENCH_H

#include "bench_inside.h"
#include "program.h"

enum bench_what { BENCH_PREFILL, BENCH_DECODE };

/* One line of the table. */
struct bench_run {
    enum bench_what what;
    uint32_t tokens, depth, threads, chunk;
    double tok_s, low, high;  /* median, slowest, fastest of the repetitions */
    double operations, bytes; /* of one repetition */
    struct limits limits;     /* seen beside these repetitions */
    double busy;              /* processor time in these, of what so many threads could take */
    double sample_seconds;    /* decode: choosing one token with its log-probability, from logits */
};

enum { BENCH_MAX_RUNS = 1024 };

struct bench {
    struct options options;
    struct loaded loaded;
    struct probe *probe;
    const char *cpu;                   /* the set the library has chosen */
    struct work work;                  /* of the last session */
    struct number_list threads;        /* those measured */
    struct limits machine[MAX_LISTED]; /* at these */
    struct bench_run *runs;
    size_t n_runs;
};

const char *bench_what_name(enum bench_what what);
/* Bytes and operations a second, at the median. */
double bench_read_rate(const struct bench_run *run);
double bench_int8_rate(const struct bench_run *run);
/* Of the limit that binds: a prompt's of the int8 rate, decoding's of the read rate. */
double bench_share(const struct bench_run *run);

/* ---- earlier figures: bench_compare.c -------------------------------------------------------- */

/* What --json wrote for one run. */
struct bench_earlier {
    enum bench_what what;
    double tokens, depth, threads, chunk;
    double tok_s, low, high, share;
};

struct bench_list {
    struct bench_earlier *runs;
    size_t n;
};

/* Reads the runs of a file that --json wrote. 0, or 1 after fail; bench_list_end in both cases. */
int bench_list_read(struct bench_list *list, const char *path);
void bench_list_end(struct bench_list *list);

/* The run of the same work, threads and chunk; NULL if there is none. */
const struct bench_earlier *bench_find(const struct bench_list *list, const struct bench_run *run);

/* 1 after fail if a run is slower than its forerunner by more than tolerance percent, in tokens a
 * second as well as in its share, so that a slower machine is no slower program. Else 0. */
int bench_judge(const struct bench *bench, const struct bench_list *list, double tolerance);

/* ---- ways to tell: bench_report.c, bench_svg.c ------------------------------------------------
 */

/* On stdout, to the end. list: NULL, or what to compare with. 0, or 1 after fail. */
int bench_table(const struct bench *bench, const struct bench_list *list);
int bench_json(const struct bench *bench, const struct bench_list *list);
/* The roofline and the runs. 0, or 1 after fail. */
int bench_svg(const struct bench *bench, const char *path);

/* Formats onto the end of b. false: no memory. */
bool bench_add(struct bytes *b, const char *format, ...) PRINTF_LIKE(2, 3);
/* The text as a JSON string, quotation marks included; each byte that is not ASCII as '?'. */
bool bench_add_string(struct bytes *b, const char *text);

/* ---- kernels: bench_list.c --------------------------------------------------------------------
 */

/* sprat bench --kernels. The exit status. */
int bench_kernels(const struct options *o);

#endif
