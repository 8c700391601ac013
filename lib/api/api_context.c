/* The public entry points of the context, and of the library itself. */
#include "api/import.h"
#include "engine/context.h"

#include <string.h>

void sprat_init(void *s, size_t size)
{
    if (!s || size < sizeof(size_t))
        return;
    memset(s, 0, size);
    memcpy(s, &size, sizeof size);
}

uint32_t sprat_version(void)
{
    return SPRAT_VERSION_NUMBER;
}

#define VERSION_TEXT_(x) #x
#define VERSION_TEXT(x)  VERSION_TEXT_(x)

const char *sprat_version_text(void)
{
    return VERSION_TEXT(SPRAT_VERSION_MAJOR) "." VERSION_TEXT(SPRAT_VERSION_MINOR) "." VERSION_TEXT(
        SPRAT_VERSION_PATCH);
}

#undef VERSION_TEXT
#undef VERSION_TEXT_

uint32_t sprat_numerics_version(void)
{
    return 1;
}

static sprat_status context_import(struct sprat_context_options *to,
                                   struct sprat_allocator *allocator,
                                   const sprat_context_options *from, struct sprat__err *err)
{
    SPRAT_TRY(sprat__import(to, sizeof *to, SPRAT__END_OF(sprat_context_options, reserved), from,
                            "sprat_context_options", err));
    if (to->reserved != 0)
        return sprat__fail(err, SPRAT_UNSUPPORTED,
                           "sprat_context_options.reserved: expected 0, found %u", to->reserved);
    if (!to->allocator)
        return SPRAT_OK;
    SPRAT_TRY(sprat__import(allocator, sizeof *allocator, SPRAT__END_OF(sprat_allocator, free),
                            to->allocator, "sprat_allocator", err));
    if (!allocator->alloc || !allocator->free)
        return sprat__fail(err, SPRAT_INVALID, "allocator: both alloc and free are needed");
    to->allocator = allocator;
    return SPRAT_OK;
}

sprat_status sprat_context_create(sprat_context **out, const sprat_context_options *options,
                                  sprat_error *err)
{
    struct sprat__err inner = {0};
    struct sprat_context_options imported;
    struct sprat_allocator allocator;
    sprat_status status;
    if (!out) {
        status = sprat__fail(&inner, SPRAT_INVALID, "out: expected an address, found NULL");
    } else {
        *out = NULL;
        status = context_import(&imported, &allocator, options, &inner);
        if (status == SPRAT_OK)
            status = sprat__context_create(out, &imported, &inner);
    }
    return sprat__report(err, &inner, status);
}

void sprat_context_destroy(sprat_context *context)
{
    if (context)
        sprat__context_drop(context);
}

sprat_status sprat_context_get_info(const sprat_context *context, sprat_context_info *info)
{
    struct sprat__err err = {0};
    if (!context)
        return SPRAT_INVALID;
    struct sprat_context_info inner = {.size = sizeof inner};
    const struct sprat__mem *mem = &context->mem;
    inner.memory_now = atomic_load(&mem->now);
    inner.memory_peak = atomic_load(&mem->peak);
    inner.memory_budget = mem->budget;
    for (size_t i = 0; i < SPRAT_N_PURPOSES; i++)
        inner.memory_by_purpose[i] = atomic_load(&mem->by_purpose[i]);
    inner.cpu = context->kernels.set;
    inner.n_threads = sprat__pool_threads(context->pool);
    return sprat__export(info, &inner, sizeof inner, SPRAT__END_OF(sprat_context_info, reserved),
                         "sprat_context_info", &err);
}

sprat_status sprat_context_set_threads(sprat_context *context, uint32_t n_threads)
{
    struct sprat__err err = {0};
    return context ? sprat__context_set_threads(context, n_threads, &err) : SPRAT_INVALID;
}
