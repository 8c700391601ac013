/* What a context is inside: memory, kernels, threads. Counted by references: the host's handle,
 * each model, and through its model each session. */
#ifndef SPRAT__CONTEXT_H
#define SPRAT__CONTEXT_H

#include "base/alloc.h"
#include "kernel/kernel.h"
#include "thread/pool.h"

struct sprat_context {
    struct sprat__mem mem;
    struct sprat__kernels kernels;
    void (*log)(void *user, int32_t level, const char *component, const char *text);
    void *log_user;
    _Atomic uint32_t n_references;
    uint64_t own_bytes; /* allocated for the context itself, at creation */
    struct sprat__pool *pool;
};

/* options: imported. */
sprat_status sprat__context_create(struct sprat_context **out,
                                   const struct sprat_context_options *options,
                                   struct sprat__err *err);
void sprat__context_hold(struct sprat_context *context);
void sprat__context_drop(struct sprat_context *context);
/* Waits for the operation under way; n_threads 0: one per available core. The old number stays
 * where it fails. */
sprat_status sprat__context_set_threads(struct sprat_context *context, uint32_t n_threads,
                                        struct sprat__err *err);

/* Hands a line to the host's log, if there is one. */
void sprat__context_log(const struct sprat_context *context, int32_t level, const char *component,
                        const char *text);

#endif
