/* Owns the life of a context and the exchange of its pool. */
#include "engine/context.h"

#include "os/cpu.h"
#include "os/topology.h"

#include <string.h>

/* The number of threads that 0 stands for, and the limit. */
static sprat_status context_count_threads(uint32_t *n_threads, struct sprat__err *err)
{
    if (*n_threads > SPRAT__POOL_MOST_THREADS)
        return sprat__fail(err, SPRAT_INVALID, "n_threads: expected at most %d, found %u",
                           SPRAT__POOL_MOST_THREADS, *n_threads);
    if (*n_threads == 0)
        *n_threads = sprat__available_cores();
    if (*n_threads > SPRAT__POOL_MOST_THREADS)
        *n_threads = SPRAT__POOL_MOST_THREADS;
    return SPRAT_OK;
}

/* The context's own memory is counted by the context itself. */
static struct sprat_context *context_allocate(const struct sprat_context_options *options,
                                              struct sprat__err *err)
{
    struct sprat__mem first;
    sprat__mem_init(&first, options->allocator, options->memory_budget);
    struct sprat_context *context =
        sprat__new(&first, 1, sizeof *context, SPRAT_PURPOSE_CONTEXT, err);
    if (!context)
        return NULL;
    sprat__mem_init(&context->mem, options->allocator, options->memory_budget);
    sprat__mem_adopt(&context->mem, context);
    return context;
}

static void context_free(struct sprat_context *context)
{
    struct sprat__mem last = context->mem;
    sprat__free(&last, context);
}

sprat_status sprat__context_create(struct sprat_context **out,
                                   const struct sprat_context_options *options,
                                   struct sprat__err *err)
{
    struct sprat_context *context = context_allocate(options, err);
    if (!context)
        return err->status;
    context->log = options->log;
    context->log_user = options->log_user;
    context->n_references = 1;
    struct sprat__cpu cpu;
    sprat__cpu_detect(&cpu);
    if (!sprat__kernels_init(&context->kernels, &cpu, options->cpu)) {
        char quoted[48];
        sprat__fail(err, SPRAT_INVALID, "cpu: expected one of: %s; found \"%s\"",
                    sprat__kernel_set_names,
                    sprat__quote(quoted, sizeof quoted, options->cpu, strlen(options->cpu)));
        goto fail;
    }
    uint32_t n_threads = options->n_threads;
    if (context_count_threads(&n_threads, err) == SPRAT_OK &&
        sprat__pool_create(&context->pool, &context->mem, n_threads, err) == SPRAT_OK) {
        context->own_bytes = atomic_load(&context->mem.now);
        *out = context;
        return SPRAT_OK;
    }
fail:
    context_free(context);
    return err->status;
}

void sprat__context_hold(struct sprat_context *context)
{
    atomic_fetch_add_explicit(&context->n_references, 1, memory_order_relaxed);
}

void sprat__context_drop(struct sprat_context *context)
{
    if (atomic_fetch_sub_explicit(&context->n_references, 1, memory_order_acq_rel) != 1)
        return;
    sprat__pool_destroy(context->pool);
    context_free(context);
}

sprat_status sprat__context_set_threads(struct sprat_context *context, uint32_t n_threads,
                                        struct sprat__err *err)
{
    SPRAT_TRY(context_count_threads(&n_threads, err));
    return sprat__pool_resize(context->pool, n_threads, err);
}

void sprat__context_log(const struct sprat_context *context, int32_t level, const char *component,
                        const char *text)
{
    if (context->log)
        context->log(context->log_user, level, component, text);
}
