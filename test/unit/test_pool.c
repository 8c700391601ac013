/* thread/pool and os/thread: every tile once, cancel, callers that queue, a pool that cannot start,
 * resizing, sleeping, signals and the floating-point state. */
#define _GNU_SOURCE
#include "thread/pool.h"

#include "os/topology.h"

#include "run_suite.h"

#include <check.h>
#include <dirent.h>
#include <fenv.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct sprat__mem mem;
static struct sprat__err err;

static struct sprat__pool *new_pool(uint32_t n_threads)
{
    struct sprat__pool *pool;
    sprat__mem_init(&mem, NULL, 0);
    ck_assert_int_eq(sprat__pool_create(&pool, &mem, n_threads, &err), SPRAT_OK);
    ck_assert_uint_eq(sprat__pool_threads(pool), n_threads);
    return pool;
}

static void end_pool(struct sprat__pool *pool)
{
    sprat__pool_destroy(pool);
    ck_assert_uint_eq(mem.now, 0);
}

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static double clock_ms(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int count_threads(void)
{
    DIR *tasks = opendir("/proc/self/task");
    if (!tasks)
        return 0; /* no such list on this system */
    int n = 0;
    for (struct dirent *entry; (entry = readdir(tasks));)
        n += entry->d_name[0] != '.';
    closedir(tasks);
    return n;
}

static void *return_at_once(void *argument)
{
    return argument;
}

/* The threads there are when nobody comes or goes: one that was joined may take a moment to leave
 * the list, under an emulator a long one, and a sanitizer's own comes with the first of ours. */
static int threads_at_rest(void)
{
    pthread_t first;
    ck_assert_int_eq(pthread_create(&first, NULL, return_at_once, NULL), 0);
    pthread_join(first, NULL);
    int n = count_threads();
    for (int n_same = 0; n_same < 100; n_same++) {
        sleep_ms(5);
        int now = count_threads();
        n_same = now == n ? n_same : 0;
        n = now;
    }
    return n;
}

/* There are n_more threads than before, or soon will be. */
static void expect_threads(int before, int n_more)
{
    int expected = before ? before + n_more : 0;
    for (int attempt = 0; attempt < 1000 && count_threads() != expected; attempt++)
        sleep_ms(5);
    ck_assert_int_eq(count_threads(), expected);
}

struct marks {
    _Atomic uint32_t count[1000];
    _Atomic int32_t cancel;
    size_t cancel_at; /* the tile that sets cancel */
};

static void mark_tile(void *argument, size_t i)
{
    struct marks *marks = argument;
    atomic_fetch_add_explicit(&marks->count[i], 1, memory_order_relaxed);
    if (i == marks->cancel_at)
        atomic_store(&marks->cancel, 1);
}

static size_t count_marks(const struct marks *marks)
{
    size_t n = 0;
    for (size_t i = 0; i < 1000; i++)
        n += marks->count[i];
    return n;
}

START_TEST(runs_every_tile_once)
{
    static const uint32_t threads[] = {1, 2, 3, 8, 40};
    static const size_t tiles[] = {0, 1, 2, 3, 7, 64, 1000};
    for (size_t t = 0; t < sizeof threads / sizeof threads[0]; t++) {
        struct sprat__pool *pool = new_pool(threads[t]);
        for (int round = 0; round < 200; round++) {
            size_t n = tiles[(size_t)round % (sizeof tiles / sizeof tiles[0])];
            struct marks marks = {.cancel_at = SIZE_MAX};
            ck_assert_int_eq(sprat__pool_run(pool, mark_tile, &marks, n, &marks.cancel), SPRAT_OK);
            for (size_t i = 0; i < 1000; i++)
                ck_assert_uint_eq(marks.count[i], i < n);
            if (round % 50 == 49)
                sleep_ms(1); /* so that the workers are found asleep, too */
        }
        end_pool(pool);
    }
}
END_TEST

START_TEST(one_thread_creates_none)
{
    int before = threads_at_rest();
    struct sprat__pool *pool = new_pool(1);
    expect_threads(before, 0);
    end_pool(pool);
    pool = new_pool(4);
    expect_threads(before, 3);
    end_pool(pool);
    expect_threads(before, 0);
}
END_TEST

START_TEST(cancel_is_a_level)
{
    struct sprat__pool *pool = new_pool(1);
    struct marks marks = {.cancel_at = 10};
    ck_assert_int_eq(sprat__pool_run(pool, mark_tile, &marks, 100, &marks.cancel), SPRAT_CANCELLED);
    ck_assert_uint_eq(count_marks(&marks), 11);
    ck_assert_int_eq(sprat__pool_run(pool, mark_tile, &marks, 100, &marks.cancel), SPRAT_CANCELLED);
    ck_assert_uint_eq(count_marks(&marks), 11);
    marks.cancel = 0;
    marks.cancel_at = 99; /* the last tile: nothing is left to skip */
    ck_assert_int_eq(sprat__pool_run(pool, mark_tile, &marks, 100, &marks.cancel), SPRAT_OK);
    ck_assert_uint_eq(count_marks(&marks), 111);
    ck_assert_int_eq(sprat__pool_run(pool, mark_tile, &marks, 100, NULL), SPRAT_OK);
    end_pool(pool);

    pool = new_pool(4);
    for (int round = 0; round < 500; round++) {
        struct marks many = {.cancel_at = (size_t)round};
        sprat_status status = sprat__pool_run(pool, mark_tile, &many, 600, &many.cancel);
        ck_assert_int_eq(status == SPRAT_CANCELLED, count_marks(&many) < 600);
        ck_assert(status == SPRAT_CANCELLED || status == SPRAT_OK);
        for (size_t i = 0; i < 600; i++)
            ck_assert_uint_le(many.count[i], 1);
    }
    end_pool(pool);
}
END_TEST

static int starts_left;

static bool start_some(struct sprat__thread *thread, void *(*run)(void *argument), void *argument)
{
    return starts_left-- > 0 && sprat__thread_start(thread, run, argument);
}

START_TEST(failing_to_start_leaves_nothing)
{
    int before = threads_at_rest();
    for (int started = 0; started < 5; started++) {
        struct sprat__pool *pool = (void *)&mem;
        sprat__mem_init(&mem, NULL, 0);
        starts_left = started;
        ck_assert_int_eq(sprat__pool_create_with(&pool, &mem, 6, start_some, &err),
                         SPRAT_NO_THREAD);
        ck_assert_ptr_null(pool);
        ck_assert_int_eq(err.status, SPRAT_NO_THREAD);
        ck_assert_ptr_nonnull(strstr(err.message, "5 threads wanted"));
        ck_assert_uint_eq(mem.now, 0);
        expect_threads(before, 0);
    }
    for (uint64_t budget = 1; budget < 2000; budget += 64) {
        struct sprat__pool *pool;
        sprat__mem_init(&mem, NULL, budget);
        if (sprat__pool_create(&pool, &mem, 3, &err) == SPRAT_OK)
            sprat__pool_destroy(pool);
        else
            ck_assert_int_eq(err.status, SPRAT_OVER_BUDGET);
        ck_assert_uint_eq(mem.now, 0);
    }
}
END_TEST

START_TEST(resizes)
{
    int before = threads_at_rest();
    struct sprat__pool *pool;
    sprat__mem_init(&mem, NULL, 0);
    starts_left = 3;
    ck_assert_int_eq(sprat__pool_create_with(&pool, &mem, 2, start_some, &err), SPRAT_OK);
    ck_assert_int_eq(sprat__pool_resize(pool, 3, &err), SPRAT_OK);
    ck_assert_uint_eq(sprat__pool_threads(pool), 3);
    expect_threads(before, 2);
    ck_assert_int_eq(sprat__pool_resize(pool, 5, &err), SPRAT_NO_THREAD);
    ck_assert_uint_eq(sprat__pool_threads(pool), 3);
    expect_threads(before, 2);
    struct marks marks = {.cancel_at = SIZE_MAX};
    ck_assert_int_eq(sprat__pool_run(pool, mark_tile, &marks, 1000, NULL), SPRAT_OK);
    ck_assert_uint_eq(count_marks(&marks), 1000);
    ck_assert_int_eq(sprat__pool_resize(pool, 1, &err), SPRAT_OK);
    expect_threads(before, 0);
    end_pool(pool);
}
END_TEST

/* ---- several callers ------------------------------------------------------------------------- */

enum { CALLERS = 4, CALLS = 400 };

struct caller {
    struct sprat__pool *pool;
    pthread_t thread;
    _Atomic uint32_t sum;
    int n_ok;
};

static void add_tile(void *argument, size_t i)
{
    struct caller *caller = argument;
    (void)i;
    atomic_fetch_add_explicit(&caller->sum, 1, memory_order_relaxed);
}

static void *call_often(void *argument)
{
    struct caller *caller = argument;
    for (int i = 0; i < CALLS; i++)
        caller->n_ok += sprat__pool_run(caller->pool, add_tile, caller, 20, NULL) == SPRAT_OK;
    return NULL;
}

START_TEST(callers_queue)
{
    for (uint32_t n_threads = 1; n_threads <= 4; n_threads++) {
        struct sprat__pool *pool = new_pool(n_threads);
        struct caller callers[CALLERS] = {0};
        for (int i = 0; i < CALLERS; i++) {
            callers[i].pool = pool;
            ck_assert_int_eq(pthread_create(&callers[i].thread, NULL, call_often, &callers[i]), 0);
        }
        for (uint32_t i = 1; i <= 6; i++)
            ck_assert_int_eq(sprat__pool_resize(pool, i % 3 + 1, &err), SPRAT_OK);
        for (int i = 0; i < CALLERS; i++) {
            pthread_join(callers[i].thread, NULL);
            ck_assert_int_eq(callers[i].n_ok, CALLS);
            ck_assert_uint_eq(callers[i].sum, CALLS * 20);
        }
        end_pool(pool);
    }
}
END_TEST

struct overtaking {
    struct sprat__pool *pool;
    _Atomic bool is_held, may_end, other_ran, other_was_first;
};

static void hold_tile(void *argument, size_t i)
{
    struct overtaking *o = argument;
    (void)i;
    o->is_held = true;
    while (!o->may_end)
        sleep_ms(1);
}

static void other_tile(void *argument, size_t i)
{
    struct overtaking *o = argument;
    (void)i;
    o->other_ran = true;
}

static void again_tile(void *argument, size_t i)
{
    struct overtaking *o = argument;
    (void)i;
    o->other_was_first = o->other_ran;
}

static void *hold_and_come_again(void *argument)
{
    struct overtaking *o = argument;
    sprat__pool_run(o->pool, hold_tile, o, 1, NULL);
    sprat__pool_run(o->pool, again_tile, o, 1, NULL);
    return NULL;
}

static void *come_second(void *argument)
{
    struct overtaking *o = argument;
    sprat__pool_run(o->pool, other_tile, o, 1, NULL);
    return NULL;
}

/* Who has waited long is next, even if the caller before never pauses. */
START_TEST(no_caller_starves)
{
    for (int round = 0; round < 5; round++) {
        struct overtaking o = {.pool = new_pool(1)};
        pthread_t holder, other;
        ck_assert_int_eq(pthread_create(&holder, NULL, hold_and_come_again, &o), 0);
        while (!o.is_held)
            sleep_ms(1);
        ck_assert_int_eq(pthread_create(&other, NULL, come_second, &o), 0);
        sleep_ms(50);            /* it waits in the queue by now */
        ck_assert(!o.other_ran); /* one operation at a time */
        o.may_end = true;
        pthread_join(holder, NULL);
        pthread_join(other, NULL);
        ck_assert(o.other_was_first);
        end_pool(o.pool);
    }
}
END_TEST

/* ---- more threads than processors -------------------------------------------------------------
 */

struct crowd {
    _Atomic uint32_t inside, most;
};

static void crowd_tile(void *argument, size_t i)
{
    struct crowd *crowd = argument;
    (void)i;
    uint32_t n = atomic_fetch_add(&crowd->inside, 1) + 1, most = atomic_load(&crowd->most);
    while (n > most && !atomic_compare_exchange_weak(&crowd->most, &most, n))
        continue;
    sleep_ms(2);
    atomic_fetch_sub(&crowd->inside, 1);
}

/* No more take part than there are processors to run them; where there is one, two. */
START_TEST(computes_on_as_many_as_there_are_processors)
{
    uint32_t n_cores = sprat__available_cores(), n_at_once = n_cores > 2 ? n_cores : 2;
    struct sprat__pool *pool = new_pool(n_at_once + 6);
    ck_assert_uint_eq(sprat__pool_at_once(pool), n_at_once);
    struct crowd crowd = {0};
    for (int round = 0; round < 10; round++) {
        sleep_ms(20); /* the workers sleep by now */
        ck_assert_int_eq(sprat__pool_run(pool, crowd_tile, &crowd, 4 * n_at_once, NULL), SPRAT_OK);
        ck_assert_uint_le(crowd.most, n_at_once);
    }
    ck_assert_uint_ge(crowd.most, 2);
    ck_assert_int_eq(sprat__pool_resize(pool, 1, &err), SPRAT_OK);
    ck_assert_uint_eq(sprat__pool_at_once(pool), 1);
    end_pool(pool);
}
END_TEST

/* ---- two threads that meet ------------------------------------------------------------------- */

/* Two tiles that wait for each other, so that each runs on a thread of its own. */
struct meeting {
    _Atomic int arrived;
    pthread_t caller;
    void (*look)(struct meeting *meeting, bool on_worker);
    _Atomic int n_on_worker, n_on_caller, n_wrong, n_done;
    _Atomic int32_t cancel;
    long worker_ms; /* how long the worker's tile takes */
};

static void meet_tile(void *argument, size_t i)
{
    struct meeting *meeting = argument;
    (void)i;
    atomic_fetch_add(&meeting->arrived, 1);
    for (int waited = 0; atomic_load(&meeting->arrived) < 2 && waited < 10000; waited++)
        sleep_ms(1);
    bool on_worker = !pthread_equal(pthread_self(), meeting->caller);
    atomic_fetch_add(on_worker ? &meeting->n_on_worker : &meeting->n_on_caller, 1);
    meeting->look(meeting, on_worker);
    if (on_worker && meeting->worker_ms)
        sleep_ms(meeting->worker_ms);
    atomic_fetch_add(&meeting->n_done, 1);
}

static void meet(struct sprat__pool *pool, struct meeting *meeting)
{
    meeting->caller = pthread_self();
    sleep_ms(20); /* the worker sleeps by now and must be woken */
    ck_assert_int_eq(sprat__pool_run(pool, meet_tile, meeting, 2, NULL), SPRAT_OK);
    ck_assert_int_eq(meeting->n_done, 2);
    ck_assert_int_eq(meeting->n_on_worker, 1);
    ck_assert_int_eq(meeting->n_on_caller, 1);
    ck_assert_int_eq(meeting->n_wrong, 0);
}

/* The caller's tile sets cancel and the caller skips the next; then the worker's tile clears it. */
static void cancel_shortly(struct meeting *meeting, bool on_worker)
{
    if (on_worker && meeting->n_on_worker == 1) {
        sleep_ms(50);
        atomic_store(&meeting->cancel, 0);
    } else if (!on_worker && meeting->n_on_caller == 1) {
        atomic_store(&meeting->cancel, 1);
    }
}

/* Where the worker comes too early nothing was skipped; else all that was left is. */
START_TEST(a_skipped_tile_ends_the_operation)
{
    struct sprat__pool *pool = new_pool(2);
    for (int round = 0; round < 3; round++) {
        struct meeting meeting = {.look = cancel_shortly, .caller = pthread_self()};
        sprat_status status = sprat__pool_run(pool, meet_tile, &meeting, 10, &meeting.cancel);
        ck_assert_int_eq(meeting.n_done, status == SPRAT_CANCELLED ? 2 : 10);
    }
    end_pool(pool);
}
END_TEST

static void look_at_signals(struct meeting *meeting, bool on_worker)
{
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    static const int some[] = {SIGINT, SIGTERM, SIGUSR1, SIGCHLD, SIGALRM, SIGPROF, SIGWINCH};
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        bool expected = on_worker || some[i] == SIGUSR1;
        if (sigismember(&blocked, some[i]) != expected)
            atomic_fetch_add(&meeting->n_wrong, 1);
    }
}

START_TEST(workers_take_no_signals)
{
    sigset_t mine, before, after;
    sigemptyset(&mine);
    sigaddset(&mine, SIGUSR1);
    pthread_sigmask(SIG_SETMASK, &mine, &before);
    struct sprat__pool *pool = new_pool(2);
    struct meeting meeting = {.look = look_at_signals};
    meet(pool, &meeting);
    end_pool(pool);
    pthread_sigmask(SIG_SETMASK, &before, &after);
    ck_assert_int_eq(sigismember(&after, SIGUSR1), 1);
    ck_assert_int_eq(sigismember(&after, SIGINT), 0);
}
END_TEST

static volatile double one = 1, three = 3, least = 0x1p-1022;

static void look_at_rounding(struct meeting *meeting, bool on_worker)
{
    (void)on_worker;
    volatile double third = one / three, subnormal = least / 4;
    if (third != 0x1.5555555555555p-2 || subnormal == 0)
        atomic_fetch_add(&meeting->n_wrong, 1);
}

START_TEST(arithmetic_is_the_default_one)
{
#if defined(__SSE2__) || defined(__aarch64__)
    /* The pool is made, too, under the host's own state: threads inherit it. */
    fesetround(FE_UPWARD);
#if defined(__SSE2__)
    unsigned host = __builtin_ia32_stmxcsr() | 0x8040; /* flush to zero, denormals are zero */
    __builtin_ia32_ldmxcsr(host);
    ck_assert(least / 4 == 0);
#endif
    volatile double up = one / three;
    ck_assert(up == 0x1.5555555555556p-2);
    struct sprat__pool *pool = new_pool(2);
    struct meeting meeting = {.look = look_at_rounding};
    meet(pool, &meeting);
    ck_assert_int_eq(fegetround(), FE_UPWARD);
#if defined(__SSE2__)
    ck_assert_uint_eq(__builtin_ia32_stmxcsr() & 0xffc0, host & 0xffc0);
    __builtin_ia32_ldmxcsr(0x1f80);
#endif
    fesetround(FE_TONEAREST);
    end_pool(pool);
#endif
}
END_TEST

static void look_at_nothing(struct meeting *meeting, bool on_worker)
{
    (void)meeting;
    (void)on_worker;
}

/* Processor time, not elapsed time: other load on the machine does not count. */
START_TEST(waiting_costs_no_processor)
{
    struct sprat__pool *pool = new_pool(8);
    struct marks marks = {.cancel_at = SIZE_MAX};
    ck_assert_int_eq(sprat__pool_run(pool, mark_tile, &marks, 100, NULL), SPRAT_OK);
    sleep_ms(50);
    double start = clock_ms(CLOCK_PROCESS_CPUTIME_ID);
    sleep_ms(300);
    ck_assert_double_lt(clock_ms(CLOCK_PROCESS_CPUTIME_ID) - start, 20);
    end_pool(pool);

    pool = new_pool(2);
    struct meeting meeting = {.look = look_at_nothing, .worker_ms = 300};
    start = clock_ms(CLOCK_PROCESS_CPUTIME_ID);
    meet(pool, &meeting);
    ck_assert_double_lt(clock_ms(CLOCK_PROCESS_CPUTIME_ID) - start, 40);
    end_pool(pool);
}
END_TEST

static int n_allocations;

static void *count_alloc(void *user, size_t bytes, size_t alignment, uint32_t purpose)
{
    (void)user;
    (void)purpose;
    n_allocations++;
    return aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}

static void count_free(void *user, void *ptr, size_t bytes, uint32_t purpose)
{
    (void)user;
    (void)bytes;
    (void)purpose;
    free(ptr);
}

START_TEST(running_allocates_nothing)
{
    struct sprat_allocator allocator = {sizeof allocator, NULL, count_alloc, count_free};
    struct sprat__pool *pool;
    sprat__mem_init(&mem, &allocator, 0);
    ck_assert_int_eq(sprat__pool_create(&pool, &mem, 3, &err), SPRAT_OK);
    int before = n_allocations;
    struct marks marks = {.cancel_at = SIZE_MAX};
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(sprat__pool_run(pool, mark_tile, &marks, 10, NULL), SPRAT_OK);
    ck_assert_int_eq(n_allocations, before);
    end_pool(pool);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pool");
    TCase *tests = tcase_create("pool");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, runs_every_tile_once);
    tcase_add_test(tests, one_thread_creates_none);
    tcase_add_test(tests, cancel_is_a_level);
    tcase_add_test(tests, failing_to_start_leaves_nothing);
    tcase_add_test(tests, resizes);
    tcase_add_test(tests, callers_queue);
    tcase_add_test(tests, no_caller_starves);
    tcase_add_test(tests, computes_on_as_many_as_there_are_processors);
    tcase_add_test(tests, a_skipped_tile_ends_the_operation);
    tcase_add_test(tests, workers_take_no_signals);
    tcase_add_test(tests, arithmetic_is_the_default_one);
    tcase_add_test(tests, waiting_costs_no_processor);
    tcase_add_test(tests, running_allocates_nothing);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
