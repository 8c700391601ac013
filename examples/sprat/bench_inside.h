/* What sprat bench needs and no host has: the machine's limits, the work of a step, the kernels one
 * by one. Behind it, in examples/bench, the library's own headers are used; nothing else of the
 * program does. */
#ifndef SPRAT_BENCH_INSIDE_H
#define SPRAT_BENCH_INSIDE_H

#define SPRAT_EXPERIMENTAL
#include <sprat/experimental.h>

#include <stdbool.h>

enum { PROBE_MAX_THREADS = 256 };

/* ---- the machine's limits: probe.c ---------------------------------------------------------- */

struct probe;

/* What the machine can do at most, as far as seen; all zero: nothing yet. */
struct limits {
    double read_rate; /* bytes a second from memory */
    double int8_rate; /* operations a second in 8-bit integers: two for each multiply-add */
};

/* cap: the last set of instructions allowed, by name; NULL: any. buffer_bytes: what is read; 0: by
 * the caches' size. NULL: no memory, or no such set. */
struct probe *probe_create(const char *cap, uint64_t buffer_bytes);
void probe_destroy(struct probe *probe);

/* The instruction the int8 rate is of, the set it is from, and the buffer. */
const char *probe_instruction(const struct probe *probe);
const char *probe_set(const struct probe *probe);
uint64_t probe_buffer_bytes(const struct probe *probe);

/* Measures for some 10 ms with n_threads, 1 to PROBE_MAX_THREADS, and raises limits to the best
 * seen. false: a thread could not be started. */
bool probe_limits(struct probe *probe, unsigned n_threads, struct limits *limits);

/* ---- the work of a step: bench_cost.c ------------------------------------------------------- */

/* Of one session. A step of n tokens at position p reads layer_bytes, of expert_bytes those that
 * its tokens use, and kv_bytes for each of the p + n tokens held then; each row of logits asked for
 * together reads output_bytes once. A multiply-add of fine products (doc/numerics.md) counts once.
 */
struct work {
    double layer_bytes, output_bytes, kv_bytes;
    double expert_bytes;                    /* of all experts that tokens are routed to */
    double experts_used;                    /* what part of them one token uses */
    double layer_products, output_products; /* multiply-adds with weights, for each token or row */
    double attention_products; /* multiply-adds for each pair of a token and one it looks back to */
    uint32_t chunk;            /* tokens of a prompt computed together */
    bool int8;                 /* numerics INT8 */
    bool kv_f32;               /* the cache holds binary32, else binary16 */
};

void work_of(struct work *out, const sprat_session *session);
/* Of a session that is not made. false: there could be none. */
bool work_of_model(struct work *out, const sprat_model *model,
                   const sprat_session_options *options);

/* Operations and bytes of n tokens after n_held others: one by one with logits after each, or as a
 * prompt with logits after the last. */
struct traffic {
    double operations, bytes;
};
struct traffic work_decode(const struct work *work, uint64_t n_held, uint64_t n);
struct traffic work_prefill(const struct work *work, uint64_t n_held, uint64_t n);

/* ---- the kernels: bench_kernels.c ----------------------------------------------------------- */

/* One kernel as one set of instructions has it. */
struct kernel_figure {
    const char *kernel, *set;
    const char *what; /* "memory": weights beyond every cache, one row of activations; "n=512": that
                         many; "cache": as much as the first caches hold */
    double rate;      /* bytes or operations a second */
    double share;     /* of the probe beside it */
    bool is_bytes;
};

/* Measures every kernel of every set up to the probe's cap on one thread, n_runs times; 0: as often
 * as fits into some 40 ms. take: called for each
 * figure in order; anything but 0 ends it. The result is take's, or -1: no memory. */
int kernel_figures(struct probe *probe, uint32_t n_runs,
                   int (*take)(void *user, const struct kernel_figure *figure), void *user);

/* ---- models that are not there: shapes.c, outline.c, stage.c, forecast.c ----------------------
 */

/* The named shapes; NULL behind the last. title: NULL if there is none of that name. */
const char *shape_name(size_t i);
const char *shape_title(const char *name);
/* Whether weights can be of this type, or of this mix of types, by name. */
bool shape_has_type(const char *type);

/* What a model is made of, but for its weights. NULL: no memory. */
struct outline;
struct outline *outline_of_shape(const char *name, const char *type);
struct outline *outline_of_model(const sprat_model *model);
void outline_destroy(struct outline *outline);

/* Its file, as a source to plan with and to open, but not to compute with. NULL: no memory. */
struct stage;
struct stage *stage_of(const struct outline *outline);
void stage_source(const struct stage *stage, sprat_source *out);
void stage_destroy(struct stage *stage);

struct forecast_ask {
    const sprat_session_options *options; /* but for n_ctx */
    uint32_t depth, n_prefill, n_decode;  /* tokens held before, of the prompt, one by one */
    uint64_t data_bytes;                  /* of weights made up: many times the caches */
};

struct forecast {
    double prefill_seconds, decode_seconds; /* of all tokens, each kind with its logits */
    uint32_t n_layers;                      /* computed for this */
};

/* Computes some layers with the context's threads. NO_MEMORY, and what opening a model and its
 * session give. */
sprat_status forecast_make(struct forecast *out, const struct outline *outline,
                           sprat_context *context, const struct forecast_ask *ask,
                           sprat_error *error);

#endif
