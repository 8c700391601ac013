/* Owns the context's threads: waking them, handing out tiles, waiting for the last of them, and the
 * order in which callers use them. Leaves what a tile computes to the engine. Invariant: the caller
 * can always finish an operation alone. A worker takes part only if it comes while the operation is
 * open, and the caller waits only for those that took part; so a worker that sleeps, or that the
 * system does not run, holds up nobody. Idle threads use no processor time: after POOL_SPIN_NS
 * without work they sleep. No more come in than there are processors, however many there are: one
 * that takes a tile and then waits for a processor would hold up all others. */
#include "thread/pool.h"

#include "os/clock.h"
#include "os/topology.h"

#include <stdalign.h>

#define POOL_SPIN_NS     50000u
#define POOL_PATIENCE_NS 1000000u /* how long a caller may be overtaken by others */

/* The gate's bits: who is inside, what is the matter, and which operation it is. */
#define POOL_COUNT   UINT64_C(0xffff)
#define POOL_OPEN    (UINT64_C(1) << 16) /* workers may come in */
#define POOL_WAITING (UINT64_C(1) << 17) /* the caller sleeps until the last one leaves */
#define POOL_STOP    (UINT64_C(1) << 18) /* workers end */
#define POOL_ROUND   32                  /* the operation's number, in the upper half */

/* Workers and the operation they share. The operation's plain fields are written while the gate is
 * closed and nobody is inside, and read only by those who came in. */
struct pool_crew {
    alignas(64) _Atomic uint64_t gate;
    alignas(64) _Atomic size_t next;       /* the next tile to hand out; may run past n_tiles */
    alignas(64) _Atomic uint32_t n_asleep; /* and not called; changes under the lock */
    _Atomic int32_t skipped;               /* 1: a tile was not computed */
    void (*tile)(void *argument, size_t i);
    void *argument;
    size_t n_tiles;
    const _Atomic int32_t *cancel;
    struct sprat__mutex lock; /* for sleeping only */
    uint32_t n_called;        /* sleepers that shall wake, and have not yet; under the lock */
    uint32_t n_at_once;       /* workers that may be inside */
    struct sprat__condition work, done;
    uint32_t n_workers;
    struct sprat__thread workers[];
};

/* A caller that waits for its turn; lies on its stack. */
struct pool_caller {
    struct pool_caller *next;
    struct sprat__condition turn;
    uint64_t since_ns;
    bool granted, woken;
};

struct sprat__pool {
    struct sprat__mem *mem;
    sprat__thread_starter *start;
    struct pool_crew *crew; /* changes only in the turn of a caller */
    _Atomic uint32_t n_threads, n_at_once;
    struct sprat__mutex lock; /* of the fields below */
    bool busy;
    struct pool_caller *first, *last;
};

static bool pool_is_new(uint64_t gate, uint32_t seen)
{
    return (gate & POOL_OPEN) && (uint32_t)(gate >> POOL_ROUND) != seen;
}

/* ---- workers --------------------------------------------------------------------------------- */

/* Calls up to two sleepers for the tiles that are left; each of them does the same, so that the
 * caller does not pay for all. The lock makes sure that who has counted itself asleep either waits
 * by now or has seen the gate. */
static void pool_wake(struct pool_crew *crew, size_t n_left)
{
    uint32_t n_asleep = atomic_load(&crew->n_asleep);
    uint32_t n_awake = crew->n_workers - n_asleep;
    if (n_asleep == 0 || n_left == 0 || n_awake >= crew->n_at_once)
        return;
    uint32_t n = 0;
    sprat__mutex_lock(&crew->lock);
    for (; n < 2 && n < n_left; n++) {
        n_asleep = atomic_load(&crew->n_asleep);
        if (n_asleep == 0 || crew->n_workers - n_asleep >= crew->n_at_once)
            break;
        atomic_store(&crew->n_asleep, n_asleep - 1);
        crew->n_called++;
    }
    sprat__mutex_unlock(&crew->lock);
    while (n-- > 0)
        sprat__condition_wake_one(&crew->work);
}

/* Computes tiles until there are none; returns how many. */
static void pool_work(struct pool_crew *crew)
{
    for (;;) {
        size_t i = atomic_fetch_add_explicit(&crew->next, 1, memory_order_relaxed);
        if (i >= crew->n_tiles)
            return;
        if ((crew->cancel && atomic_load_explicit(crew->cancel, memory_order_relaxed)) ||
            atomic_load_explicit(&crew->skipped, memory_order_relaxed)) {
            atomic_store_explicit(&crew->skipped, 1, memory_order_relaxed);
            return;
        }
        crew->tile(crew->argument, i);
    }
}

static void pool_sleep(struct pool_crew *crew, uint32_t seen)
{
    sprat__mutex_lock(&crew->lock);
    atomic_fetch_add(&crew->n_asleep, 1);
    uint64_t gate = atomic_load(&crew->gate);
    bool is_new = pool_is_new(gate, seen);
    while (!is_new && !(gate & POOL_STOP) && crew->n_called == 0) {
        sprat__condition_wait(&crew->work, &crew->lock);
        gate = atomic_load(&crew->gate);
    }
    if (crew->n_called > 0)
        crew->n_called--;
    else
        atomic_fetch_sub(&crew->n_asleep, 1);
    sprat__mutex_unlock(&crew->lock);
}

/* Waits for an operation this worker has not seen, and comes in; false: the end. */
static bool pool_come_in(struct pool_crew *crew, uint32_t *seen, bool *slept)
{
    uint64_t start_ns = 0;
    *slept = false;
    for (uint32_t n = 1;; n++) {
        uint64_t gate = atomic_load_explicit(&crew->gate, memory_order_acquire);
        if (gate & POOL_STOP)
            return false;
        if (pool_is_new(gate, *seen) && (gate & POOL_COUNT) >= crew->n_at_once)
            *seen = (uint32_t)(gate >> POOL_ROUND); /* enough are inside: the next, perhaps */
        if (pool_is_new(gate, *seen)) {
            if (atomic_compare_exchange_weak_explicit(&crew->gate, &gate, gate + 1,
                                                      memory_order_acquire, memory_order_relaxed)) {
                *seen = (uint32_t)(gate >> POOL_ROUND);
                return true;
            }
            continue;
        }
        sprat__thread_pause();
        if (n % 16 != 0)
            continue;
        uint64_t now_ns = sprat__now_ns();
        if (start_ns == 0)
            start_ns = now_ns;
        if (now_ns - start_ns >= POOL_SPIN_NS) {
            pool_sleep(crew, *seen);
            *slept = true;
            start_ns = 0;
        }
    }
}

static void pool_go_out(struct pool_crew *crew)
{
    uint64_t gate = atomic_fetch_sub_explicit(&crew->gate, 1, memory_order_acq_rel) - 1;
    if ((gate & POOL_WAITING) && (gate & POOL_COUNT) == 0) {
        sprat__mutex_lock(&crew->lock);
        sprat__condition_wake_one(&crew->done);
        sprat__mutex_unlock(&crew->lock);
    }
}

static void *pool_worker(void *argument)
{
    struct pool_crew *crew = argument;
    uint32_t seen = 0;
    bool slept;
    sprat__thread_begin();
    while (pool_come_in(crew, &seen, &slept)) {
        size_t next = atomic_load_explicit(&crew->next, memory_order_relaxed);
        if (slept && next < crew->n_tiles)
            pool_wake(crew, crew->n_tiles - next - 1);
        pool_work(crew);
        pool_go_out(crew);
    }
    return NULL;
}

/* ---- the crew -------------------------------------------------------------------------------- */

static void pool_crew_destroy(struct sprat__mem *mem, struct pool_crew *crew)
{
    atomic_fetch_or(&crew->gate, POOL_STOP);
    sprat__mutex_lock(&crew->lock);
    sprat__condition_wake_all(&crew->work);
    sprat__mutex_unlock(&crew->lock);
    for (uint32_t i = 0; i < crew->n_workers; i++)
        sprat__thread_join(&crew->workers[i]);
    sprat__condition_end(&crew->done);
    sprat__condition_end(&crew->work);
    sprat__mutex_end(&crew->lock);
    sprat__free(mem, crew);
}

static sprat_status pool_crew_create(struct pool_crew **out, struct sprat__mem *mem,
                                     uint32_t n_threads, sprat__thread_starter *start,
                                     struct sprat__err *err)
{
    *out = NULL;
    size_t n_workers = n_threads - 1;
    size_t bytes = sizeof(struct pool_crew) + n_workers * sizeof(struct sprat__thread);
    struct pool_crew *crew = sprat__new(mem, 1, bytes, SPRAT_PURPOSE_CONTEXT, err);
    if (!crew)
        return err->status;
    sprat__mutex_init(&crew->lock);
    sprat__condition_init(&crew->work);
    sprat__condition_init(&crew->done);
    uint32_t n_cores = sprat__available_cores();
    crew->n_at_once = n_cores > 2 ? n_cores - 1 : 1;
    for (; crew->n_workers < n_workers; crew->n_workers++) {
        if (!start(&crew->workers[crew->n_workers], pool_worker, crew)) {
            uint32_t n_started = crew->n_workers;
            pool_crew_destroy(mem, crew);
            return sprat__fail(err, SPRAT_NO_THREAD,
                               "thread pool: %u threads wanted besides the caller's, "
                               "the system started %u",
                               n_threads - 1, n_started);
        }
    }
    *out = crew;
    return SPRAT_OK;
}

/* Closes the gate and waits until everybody is out. Stragglers finish a tile each, so spinning is
 * usually right, but not for long: they may need this processor. */
static void pool_close(struct pool_crew *crew)
{
    uint64_t gate = atomic_fetch_and_explicit(&crew->gate, ~POOL_OPEN, memory_order_acq_rel);
    uint64_t start_ns = 0;
    for (uint32_t n = 1; (gate & POOL_COUNT) != 0; n++) {
        sprat__thread_pause();
        gate = atomic_load_explicit(&crew->gate, memory_order_acquire);
        if (n % 16 != 0 || (gate & POOL_COUNT) == 0)
            continue;
        uint64_t now_ns = sprat__now_ns();
        if (start_ns == 0)
            start_ns = now_ns;
        if (now_ns - start_ns < POOL_SPIN_NS)
            continue;
        sprat__mutex_lock(&crew->lock);
        atomic_fetch_or_explicit(&crew->gate, POOL_WAITING, memory_order_acq_rel);
        while (atomic_load_explicit(&crew->gate, memory_order_acquire) & POOL_COUNT)
            sprat__condition_wait(&crew->done, &crew->lock);
        sprat__mutex_unlock(&crew->lock);
        return;
    }
}

static sprat_status pool_crew_run(struct pool_crew *crew, void (*tile)(void *argument, size_t i),
                                  void *argument, size_t n_tiles, const _Atomic int32_t *cancel)
{
    crew->tile = tile;
    crew->argument = argument;
    crew->n_tiles = n_tiles;
    crew->cancel = cancel;
    atomic_store_explicit(&crew->skipped, 0, memory_order_relaxed);
    atomic_store_explicit(&crew->next, 0, memory_order_relaxed);
    bool together = crew->n_workers > 0 && n_tiles > 1;
    if (together) {
        uint64_t round = atomic_load_explicit(&crew->gate, memory_order_relaxed) >> POOL_ROUND;
        uint64_t gate = ((round + 1) << POOL_ROUND) | POOL_OPEN;
        /* Sequentially consistent, as are the sleepers' count and their look at the gate: either
         * they see this or pool_wake sees them. */
        atomic_store(&crew->gate, gate);
        pool_wake(crew, n_tiles - 1);
    }
    struct sprat__fpstate saved;
    sprat__fpstate_enter(&saved);
    pool_work(crew);
    sprat__fpstate_leave(&saved);
    if (together)
        pool_close(crew);
    return atomic_load_explicit(&crew->skipped, memory_order_relaxed) ? SPRAT_CANCELLED : SPRAT_OK;
}

/* ---- callers --------------------------------------------------------------------------------- */

/* Waits for the pool to be free. Who comes while it is free takes it, even before those who wait
 * and are not yet awake, for a strict order would leave the threads idle at every change; but who
 * has waited for POOL_PATIENCE_NS is next in any case. */
static void pool_take_turn(struct sprat__pool *pool)
{
    sprat__mutex_lock(&pool->lock);
    if (pool->busy) {
        struct pool_caller self = {.since_ns = sprat__now_ns()};
        sprat__condition_init(&self.turn);
        *(pool->first ? &pool->last->next : &pool->first) = &self;
        pool->last = &self;
        while (!self.granted && (pool->busy || pool->first != &self)) {
            self.woken = false;
            sprat__condition_wait(&self.turn, &pool->lock);
        }
        pool->first = self.next;
        sprat__condition_end(&self.turn);
    }
    pool->busy = true;
    sprat__mutex_unlock(&pool->lock);
}

static void pool_end_turn(struct sprat__pool *pool)
{
    sprat__mutex_lock(&pool->lock);
    struct pool_caller *first = pool->first;
    pool->busy = false;
    if (first) {
        first->granted = sprat__now_ns() - first->since_ns >= POOL_PATIENCE_NS;
        pool->busy = first->granted;
        if (!first->woken)
            sprat__condition_wake_one(&first->turn);
        first->woken = true;
    }
    sprat__mutex_unlock(&pool->lock);
}

static uint32_t pool_at_once(const struct pool_crew *crew)
{
    return 1 + (crew->n_workers < crew->n_at_once ? crew->n_workers : crew->n_at_once);
}

sprat_status sprat__pool_create_with(struct sprat__pool **out, struct sprat__mem *mem,
                                     uint32_t n_threads, sprat__thread_starter *start,
                                     struct sprat__err *err)
{
    *out = NULL;
    SPRAT_ASSERT(n_threads >= 1 && n_threads <= SPRAT__POOL_MOST_THREADS);
    struct sprat__pool *pool = sprat__new(mem, 1, sizeof *pool, SPRAT_PURPOSE_CONTEXT, err);
    if (!pool)
        return err->status;
    pool->mem = mem;
    pool->start = start;
    atomic_init(&pool->n_threads, n_threads);
    sprat__mutex_init(&pool->lock);
    sprat_status status = pool_crew_create(&pool->crew, mem, n_threads, start, err);
    if (status != SPRAT_OK) {
        sprat__mutex_end(&pool->lock);
        sprat__free(mem, pool);
        return status;
    }
    atomic_init(&pool->n_at_once, pool_at_once(pool->crew));
    *out = pool;
    return SPRAT_OK;
}

sprat_status sprat__pool_create(struct sprat__pool **out, struct sprat__mem *mem,
                                uint32_t n_threads, struct sprat__err *err)
{
    return sprat__pool_create_with(out, mem, n_threads, sprat__thread_start, err);
}

void sprat__pool_destroy(struct sprat__pool *pool)
{
    if (!pool)
        return;
    pool_crew_destroy(pool->mem, pool->crew);
    sprat__mutex_end(&pool->lock);
    sprat__free(pool->mem, pool);
}

sprat_status sprat__pool_resize(struct sprat__pool *pool, uint32_t n_threads,
                                struct sprat__err *err)
{
    SPRAT_ASSERT(n_threads >= 1 && n_threads <= SPRAT__POOL_MOST_THREADS);
    struct pool_crew *crew;
    SPRAT_TRY(pool_crew_create(&crew, pool->mem, n_threads, pool->start, err));
    pool_take_turn(pool);
    struct pool_crew *old = pool->crew;
    pool->crew = crew;
    atomic_store(&pool->n_threads, n_threads);
    atomic_store(&pool->n_at_once, pool_at_once(crew));
    pool_end_turn(pool);
    pool_crew_destroy(pool->mem, old);
    return SPRAT_OK;
}

uint32_t sprat__pool_threads(const struct sprat__pool *pool)
{
    return atomic_load(&pool->n_threads);
}

uint32_t sprat__pool_at_once(const struct sprat__pool *pool)
{
    return atomic_load(&pool->n_at_once);
}

sprat_status sprat__pool_run(struct sprat__pool *pool, void (*tile)(void *argument, size_t i),
                             void *argument, size_t n_tiles, const _Atomic int32_t *cancel)
{
    if (n_tiles == 0)
        return SPRAT_OK;
    pool_take_turn(pool);
    sprat_status status = pool_crew_run(pool->crew, tile, argument, n_tiles, cancel);
    pool_end_turn(pool);
    return status;
}
