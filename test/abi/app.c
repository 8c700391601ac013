/* A host that knows the public header only: it makes a context with its own allocator and budget,
 * asks for a model that is not there, and checks what it is told. It ends with 0 if all was right,
 * else with the number of the line that was not. Built from the amalgamation, from the installed
 * library and as a Meson subproject. */
#ifdef SPRAT_ONE_FILE
#include "sprat.h"
#else
#include <sprat/sprat.h>
#endif

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "app.c:%d: %s\n", __LINE__, #condition);                               \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

static _Atomic int n_blocks;

static void *host_alloc(void *user, size_t bytes, size_t alignment, uint32_t purpose)
{
    (void)purpose;
    ++*(_Atomic int *)user;
    return aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}

static void host_free(void *user, void *ptr, size_t bytes, uint32_t purpose)
{
    (void)bytes;
    (void)purpose;
    --*(_Atomic int *)user;
    free(ptr);
}

int main(void)
{
    CHECK(sprat_version() == SPRAT_VERSION_NUMBER);
    CHECK(strcmp(sprat_version_text(), "0.1.0") == 0);
    CHECK(sprat_numerics_version() > 0);
    CHECK(strcmp(sprat_status_name(SPRAT_OVER_BUDGET), "OVER_BUDGET") == 0);

    sprat_allocator allocator;
    sprat_init(&allocator, sizeof allocator);
    allocator.alloc = host_alloc;
    allocator.free = host_free;
    allocator.user = &n_blocks;
    sprat_context_options options;
    sprat_init(&options, sizeof options);
    options.allocator = &allocator;
    options.n_threads = 2;
    options.memory_budget = 1 << 24;
    sprat_error error;
    sprat_init(&error, sizeof error);
    sprat_context *context;
    CHECK(sprat_context_create(&context, &options, &error) == SPRAT_OK);
    CHECK(n_blocks > 0);
    sprat_context_info info;
    sprat_init(&info, sizeof info);
    CHECK(sprat_context_get_info(context, &info) == SPRAT_OK);
    CHECK(info.n_threads == 2 && info.memory_now > 0 && info.memory_budget == 1 << 24);

    sprat_source source;
    sprat_init(&source, sizeof source);
    source.path = "no-such-file.gguf";
    sprat_model *model;
    CHECK(sprat_model_open(&model, context, &source, NULL, &error) == SPRAT_NO_FILE);
    CHECK(model == NULL && error.status == SPRAT_NO_FILE);
    CHECK(strstr(error.message, "no-such-file.gguf") != NULL);
    sprat_context_destroy(context);
    CHECK(n_blocks == 0);
    printf("sprat %s: all as promised\n", sprat_version_text());
    return 0;
}
