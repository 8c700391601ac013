/* Steps after the memory is reserved: 64 of them, in each numerics, call no allocator, neither the
 * host's nor, behind its back, the C library's; and with one thread they wait for nobody: the locks
 * they take are as few as the operations they hand to the pool. The linker leads the C library's
 * functions to the counters here (-Wl,--wrap). */
#define _GNU_SOURCE
#include "fixture.h"
#include "run_suite.h"

#include <pthread.h>
#include <stdatomic.h>

/* What a layer hands to the pool: q, k and v; attention; the output of attention; gate and up;
 * down. Then the logits. Each locks the pool when it takes it and when it gives it back. */
enum { STEPS = 64, LAYER_OPERATIONS = 5, OTHER_OPERATIONS = 1 };

static const char *model_path;
static atomic_size_t n_allocations, n_locks, n_waits;

void *__real_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes)
{
    n_allocations++;
    return __real_malloc(bytes);
}

void *__real_calloc(size_t n, size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes)
{
    n_allocations++;
    return __real_calloc(n, bytes);
}

void *__real_realloc(void *ptr, size_t bytes);
void *__wrap_realloc(void *ptr, size_t bytes);
void *__wrap_realloc(void *ptr, size_t bytes)
{
    n_allocations++;
    return __real_realloc(ptr, bytes);
}

void *__real_aligned_alloc(size_t alignment, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes)
{
    n_allocations++;
    return __real_aligned_alloc(alignment, bytes);
}

int __real_posix_memalign(void **out, size_t alignment, size_t bytes);
int __wrap_posix_memalign(void **out, size_t alignment, size_t bytes);
int __wrap_posix_memalign(void **out, size_t alignment, size_t bytes)
{
    n_allocations++;
    return __real_posix_memalign(out, alignment, bytes);
}

int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
    n_locks++;
    return __real_pthread_mutex_lock(mutex);
}

int __real_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex);
int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex);
int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex)
{
    n_waits++;
    return __real_pthread_cond_wait(condition, mutex);
}

static sprat_session *reserved_session(const struct fixture *fixture, uint32_t numerics)
{
    sprat_session *session;
    sprat_session_options options;
    sprat_sampling sampling;
    sprat_init(&options, sizeof options);
    sprat_init(&sampling, sizeof sampling);
    options.numerics = numerics;
    ck_assert_int_eq(sprat_session_create(&session, fixture->model, &options, NULL), SPRAT_OK);
    sampling.temperature = 0.8f;
    sampling.top_p = 0.9f;
    sampling.n_logprobs = 5;
    sampling.repetition_penalty = 1.1f;
    ck_assert_int_eq(sprat_session_set_sampling(session, &sampling), SPRAT_OK);
    ck_assert_int_eq(sprat_session_reserve(session, STEPS + 1), SPRAT_OK);
    ck_assert_int_eq(sprat_session_accept(session, 1), SPRAT_OK);
    return session;
}

/* Check's own assertions allocate, so there is none here. */
static sprat_status take_steps(sprat_session *session)
{
    sprat_status status = SPRAT_OK;
    for (int i = 0; i < STEPS && status == SPRAT_OK; i++) {
        sprat_sample sample;
        sprat_init(&sample, sizeof sample);
        status = sprat_session_sample(session, &sample);
        if (status == SPRAT_OK)
            status = sprat_session_accept(session, sample.token);
    }
    return status;
}

static void check_steps(uint32_t numerics, uint32_t n_threads)
{
    sprat_context_options options;
    sprat_init(&options, sizeof options);
    options.n_threads = n_threads;
    struct fixture fixture = fixture_open(model_path, &options);
    size_t before = n_allocations;
    sprat_session *session = reserved_session(&fixture, numerics);
    ck_assert_uint_gt(n_allocations, before); /* the counter sees the library */
    before = n_allocations;
    size_t locks_before = n_locks, waits_before = n_waits;
    sprat_status status = take_steps(session);
    size_t allocations = n_allocations - before, locks = n_locks - locks_before;
    ck_assert_int_eq(status, SPRAT_OK);
    ck_assert_msg(allocations == 0, "numerics %u, %u threads: %zu allocations", numerics, n_threads,
                  allocations);
    if (n_threads == 1) {
        sprat_model_info info;
        sprat_init(&info, sizeof info);
        ck_assert_int_eq(sprat_model_get_info(fixture.model, &info), SPRAT_OK);
        size_t n_operations = info.n_layers * LAYER_OPERATIONS + OTHER_OPERATIONS;
        ck_assert_msg(locks <= 2 * STEPS * n_operations, "%zu locks in %d steps", locks, STEPS);
        ck_assert_uint_gt(locks, 0); /* the counter sees the library */
        ck_assert_uint_eq(n_waits, waits_before);
    }
    sprat_session_destroy(session);
    fixture_close(&fixture);
}

START_TEST(nothing_is_allocated)
{
    check_steps(SPRAT_NUMERICS_INT8, 1);
    check_steps(SPRAT_NUMERICS_INT8, 3);
    check_steps(SPRAT_NUMERICS_F32, 1);
    check_steps(SPRAT_NUMERICS_F32, 3);
    check_steps(SPRAT_NUMERICS_DEFAULT, 1);
}
END_TEST

int main(int argc, char **argv)
{
    model_path = argc > 1 ? argv[1] : "";
    Suite *suite = suite_create("quiet_steps");
    TCase *tests = tcase_create("quiet_steps");
    tcase_add_test(tests, nothing_is_allocated);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
