/* Owns causal attention over the cache: which queries share a tile of keys, which thread takes
 * which tiles, and how tiles come together. Leaves the inside of a tile to the kernels.
 *
 * Order (doc/numerics.md): keys are taken in tiles of 64 at absolute positions. Each tile alone
 * gives m = the largest score, l = Σ exp(score − m), o = Σ exp(score − m)·v; tiles are combined
 * from left to right; what a query may not see is skipped, never multiplied. So tiles may be
 * computed in any order and by any thread, but for every query they are added in one. */
#include "model/step.h"

#include <string.h>

/* Rows of a block, which share each tile of keys and values. */
enum { ATTEND_ROWS = 32 };

/* Significant bits of a binary32 whose product with a binary16 is exact. */
enum { ATTEND_BITS = 13 };

struct attend_job {
    const struct sprat__step *step;
    uint32_t layer;
    float scale;
    size_t n_positions; /* of a block: a power of two, at most a tile */
    size_t n_heads;     /* of a block, which read the same keys and values */
    size_t n_slices;    /* blocks that the heads of one KV head are cut into */
};

/* Some query heads of one KV head at some positions, and what they have of the tiles so far. */
struct attend_block {
    uint32_t kv_head;
    size_t n;
    size_t end; /* behind the last position */
    size_t position[ATTEND_ROWS];
    float *q[ATTEND_ROWS];
    float *out[ATTEND_ROWS];
    float max[ATTEND_ROWS], sum[ATTEND_ROWS];
};

/* Numerics INT8 round q and p beside a binary16 cache, so that each product with it is exact. */
static bool attend_rounds(const struct sprat__step *step)
{
    return step->int8 && step->kv->shape.element_bytes == sizeof(uint16_t);
}

/* How many keys of the tile at first a query at position, which is not before it, sees. */
static size_t attend_visible(size_t first, size_t position)
{
    size_t n = position - first + 1;
    return n < SPRAT__KV_TILE ? n : SPRAT__KV_TILE;
}

static void attend_scores(const struct attend_job *job, const struct attend_block *block,
                          size_t first, float *scores)
{
    const struct sprat__step *step = job->step;
    size_t dim = step->model->config.key_dim;
    size_t n_keys = attend_visible(first, block->end - 1);
    const float *const *q = (const float *const *)block->q;
    const void *keys = sprat__kv_keys(step->kv, job->layer, block->kv_head, first);
    if (step->kv->shape.element_bytes == sizeof(float))
        step->kernels->attend_scores_f32(scores, q, block->n, keys, dim, n_keys, dim, job->scale);
    else
        step->kernels->attend_scores_f16(scores, q, block->n, keys, dim, n_keys, dim, job->scale);
}

/* Adds the tile of keys that begins at first, of which each query of the block sees one or more.
 * alone: nothing is there to add it to. */
static void attend_tile(const struct attend_job *job, struct attend_block *block, size_t first,
                        bool alone)
{
    const struct sprat__step *step = job->step;
    const struct sprat__kernels *kernels = step->kernels;
    size_t dim = step->model->config.value_dim, n_keys[ATTEND_ROWS];
    float scores[ATTEND_ROWS * SPRAT__ATTEND_KEYS];
    float max[ATTEND_ROWS], sum[ATTEND_ROWS], old[ATTEND_ROWS], new[ATTEND_ROWS];
    for (size_t i = 0; i < block->n; i++)
        n_keys[i] = attend_visible(first, block->position[i]);
    attend_scores(job, block, first, scores);
    kernels->attend_weights_f32(scores, n_keys, block->n, attend_rounds(step) ? ATTEND_BITS : 0,
                                alone ? block->max : max, alone ? block->sum : sum);
    if (!alone)
        kernels->attend_combine_f32(block->max, block->sum, max, sum, old, new, block->n);
    bool is_latent = step->kv->shape.value_dim == 0; /* a value is the beginning of its key */
    const void *values = is_latent ? sprat__kv_keys(step->kv, job->layer, block->kv_head, first)
                                   : sprat__kv_values(step->kv, job->layer, block->kv_head, first);
    size_t stride = is_latent ? step->model->config.key_dim : dim;
    if (step->kv->shape.element_bytes == sizeof(float))
        kernels->attend_values_f32(block->out, alone ? NULL : old, new, scores, n_keys, block->n,
                                   values, stride, dim);
    else
        kernels->attend_values_f16(block->out, alone ? NULL : old, new, scores, n_keys, block->n,
                                   values, stride, dim);
}

/* The block of heads from head on, at the positions from that of row on that belong to it. */
static void attend_fill(const struct attend_job *job, struct attend_block *block, size_t head,
                        size_t row)
{
    const struct sprat__step *step = job->step;
    const struct sprat__config *config = &step->model->config;
    size_t group = config->n_heads / config->n_kv_heads, left = group - head % group;
    size_t n_heads = left < job->n_heads ? left : job->n_heads;
    size_t end = (step->position + row) / job->n_positions * job->n_positions + job->n_positions;
    size_t row_end = end - step->position < step->n ? end - step->position : step->n;
    block->kv_head = (uint32_t)(head / group);
    block->end = step->position + row_end;
    block->n = 0;
    for (; row < row_end; row++) {
        for (size_t i = 0; i < n_heads; i++) {
            size_t at = row * config->n_heads + head + i;
            block->position[block->n] = step->position + row;
            block->q[block->n] = step->q + at * config->key_dim;
            block->out[block->n++] = step->attended + at * config->value_dim;
        }
    }
}

/* Blocks of positions end at multiples of their length, so that none lies on both sides of a
 * tile's end. */
static size_t attend_blocks(const struct attend_job *job)
{
    size_t first = job->step->position / job->n_positions;
    return (job->step->position + job->step->n - 1) / job->n_positions - first + 1;
}

/* Tile i: a block. The last ones, which see most, come first. */
static void attend_queries(void *argument, size_t i)
{
    const struct attend_job *job = argument;
    const struct sprat__step *step = job->step;
    const struct sprat__config *config = &step->model->config;
    size_t n_units = config->n_kv_heads * job->n_slices, unit = i % n_units;
    size_t group = config->n_heads / config->n_kv_heads;
    size_t index = attend_blocks(job) - 1 - i / n_units;
    size_t begin = (step->position / job->n_positions + index) * job->n_positions;
    struct attend_block block;
    attend_fill(job, &block, unit / job->n_slices * group + unit % job->n_slices * job->n_heads,
                begin > step->position ? begin - step->position : 0);
    for (size_t j = 0; j < block.n && attend_rounds(step); j++)
        step->kernels->round_f32(block.q[j], config->key_dim, ATTEND_BITS);
    for (size_t first = 0; first < block.end; first += SPRAT__KV_TILE)
        attend_tile(job, &block, first, first == 0);
    for (size_t j = 0; j < block.n; j++)
        step->kernels->scale_f32(block.out[j], 1.0f / block.sum[j], config->value_dim);
}

/* How heads and positions are cut into blocks of at most ATTEND_ROWS. */
static void attend_cut(struct attend_job *job)
{
    const struct sprat__config *config = &job->step->model->config;
    size_t group = config->n_heads / config->n_kv_heads;
    job->n_slices = (group + ATTEND_ROWS - 1) / ATTEND_ROWS;
    job->n_heads = (group + job->n_slices - 1) / job->n_slices;
    job->n_slices = (group + job->n_heads - 1) / job->n_heads;
    job->n_positions = 1;
    while (2 * job->n_positions * job->n_heads <= ATTEND_ROWS)
        job->n_positions *= 2;
}

/* ---- one query over many tiles ----------------------------------------------------------------
 */

/* The step's one row, with heads from attend_cut in units of those that share keys. The tiles of a
 * wave are cut into groups. Whoever takes a group that is next in line adds it at once; others
 * leave what each tile gave, to be added when its turn comes by whoever holds the unit then. */
struct attend_wave {
    const struct attend_job *job;
    size_t n_units, n_groups;
    size_t first_tile, n_tiles, group_tiles;
};

static float *attend_part(const struct sprat__step *step, size_t tile, size_t head)
{
    const struct sprat__config *config = &step->model->config;
    return step->parts.o + (tile * config->n_heads + head) * config->value_dim;
}

/* The unit's block; its state so far is that behind the last tile. */
static size_t attend_unit(const struct attend_job *job, struct attend_block *block, size_t unit)
{
    const struct sprat__step *step = job->step;
    const struct sprat__config *config = &step->model->config;
    size_t group = config->n_heads / config->n_kv_heads;
    size_t head = unit / job->n_slices * group + unit % job->n_slices * job->n_heads;
    attend_fill(job, block, head, 0);
    return head;
}

/* Adds the tiles of a group, where nobody else adds to the unit. */
static void attend_add_group(const struct attend_wave *wave, size_t unit, size_t group, bool stored)
{
    const struct sprat__step *step = wave->job->step;
    const struct sprat__kernels *kernels = step->kernels;
    size_t n_heads = step->model->config.n_heads, dim = step->model->config.value_dim;
    struct attend_block block;
    size_t head = attend_unit(wave->job, &block, unit);
    float *max = step->parts.max + step->parts.n_tiles * n_heads + head;
    float *sum = step->parts.sum + step->parts.n_tiles * n_heads + head;
    size_t end = (group + 1) * wave->group_tiles;
    end = end < wave->n_tiles ? end : wave->n_tiles;
    memcpy(block.max, max, block.n * sizeof *max);
    memcpy(block.sum, sum, block.n * sizeof *sum);
    for (size_t tile = group * wave->group_tiles; tile < end; tile++) {
        float old[ATTEND_ROWS], new[ATTEND_ROWS];
        size_t first = (wave->first_tile + tile) * SPRAT__KV_TILE;
        const float *tile_max = step->parts.max + tile * n_heads + head;
        const float *tile_sum = step->parts.sum + tile * n_heads + head;
        if (!stored) {
            attend_tile(wave->job, &block, first, first == 0);
            continue;
        }
        if (first == 0) {
            memcpy(block.max, tile_max, block.n * sizeof *max);
            memcpy(block.sum, tile_sum, block.n * sizeof *sum);
            memcpy(block.out[0], attend_part(step, tile, head), block.n * dim * sizeof(float));
            continue;
        }
        kernels->attend_combine_f32(block.max, block.sum, tile_max, tile_sum, old, new, block.n);
        for (size_t i = 0; i < block.n; i++) {
            kernels->scale_f32(block.out[i], old[i], dim);
            kernels->axpy_f32(block.out[i], new[i], attend_part(step, tile, head + i), dim);
        }
    }
    memcpy(max, block.max, block.n * sizeof *max);
    memcpy(sum, block.sum, block.n * sizeof *sum);
}

/* Computes each tile of a group alone and leaves what it gave. */
static void attend_store_group(const struct attend_wave *wave, size_t unit, size_t group)
{
    const struct sprat__step *step = wave->job->step;
    size_t n_heads = step->model->config.n_heads;
    struct attend_block block;
    size_t head = attend_unit(wave->job, &block, unit);
    size_t end = (group + 1) * wave->group_tiles;
    end = end < wave->n_tiles ? end : wave->n_tiles;
    for (size_t tile = group * wave->group_tiles; tile < end; tile++) {
        for (size_t i = 0; i < block.n; i++)
            block.out[i] = attend_part(step, tile, head + i);
        attend_tile(wave->job, &block, (wave->first_tile + tile) * SPRAT__KV_TILE, true);
        memcpy(step->parts.max + tile * n_heads + head, block.max, block.n * sizeof(float));
        memcpy(step->parts.sum + tile * n_heads + head, block.sum, block.n * sizeof(float));
    }
}

static bool attend_is_stored(const struct attend_wave *wave, size_t unit, size_t group)
{
    return group < wave->n_groups &&
           atomic_load(&wave->job->step->parts.stored[unit * wave->n_groups + group]);
}

/* Adds the groups that are stored and next in line, then lets the unit go. Who stores a group
 * afterwards, and finds the unit held before it was let go, relies on the look after that. */
static void attend_let_go(const struct attend_wave *wave, size_t unit)
{
    struct sprat__attend_unit *state = &wave->job->step->parts.units[unit];
    size_t next;
    do {
        next = state->next;
        for (; attend_is_stored(wave, unit, next); next++)
            attend_add_group(wave, unit, next, true);
        state->next = next;
        atomic_store(&state->held, 0);
    } while (attend_is_stored(wave, unit, next) && !atomic_exchange(&state->held, 1));
}

/* Tile i: a group of one unit. */
static void attend_group(void *argument, size_t i)
{
    const struct attend_wave *wave = argument;
    const struct sprat__attend_parts *parts = &wave->job->step->parts;
    size_t unit = i % wave->n_units, group = i / wave->n_units;
    struct sprat__attend_unit *state = &parts->units[unit];
    if (!atomic_exchange(&state->held, 1)) {
        bool is_next = state->next == group;
        if (is_next) {
            attend_add_group(wave, unit, group, false);
            state->next = group + 1;
        }
        attend_let_go(wave, unit);
        if (is_next)
            return;
    }
    attend_store_group(wave, unit, group);
    atomic_store(&parts->stored[unit * wave->n_groups + group], 1);
    if (!atomic_exchange(&state->held, 1))
        attend_let_go(wave, unit);
}

/* Groups of a wave for each thread: so many that threads end together. */
enum { ATTEND_GROUPS = 6 };

static sprat_status attend_one_row(struct attend_job *job)
{
    const struct sprat__step *step = job->step;
    const struct sprat__config *config = &step->model->config;
    const struct sprat__attend_parts *parts = &step->parts;
    size_t n_tiles = step->position / SPRAT__KV_TILE + 1;
    struct attend_wave wave = {.job = job, .n_units = config->n_kv_heads * job->n_slices};
    size_t n_groups = ATTEND_GROUPS * sprat__pool_threads(step->pool) / wave.n_units + 1;
    for (; wave.first_tile < n_tiles; wave.first_tile += wave.n_tiles) {
        size_t left = n_tiles - wave.first_tile;
        wave.n_tiles = left < parts->n_tiles ? left : parts->n_tiles;
        wave.group_tiles = (wave.n_tiles + n_groups - 1) / n_groups;
        wave.n_groups = (wave.n_tiles + wave.group_tiles - 1) / wave.group_tiles;
        for (size_t i = 0; i < wave.n_units * wave.n_groups; i++)
            atomic_store_explicit(&parts->stored[i], 0, memory_order_relaxed);
        for (size_t i = 0; i < wave.n_units; i++) {
            parts->units[i].next = 0;
            atomic_store_explicit(&parts->units[i].held, 0, memory_order_relaxed);
        }
        SPRAT_TRY(sprat__pool_run(step->pool, attend_group, &wave, wave.n_units * wave.n_groups,
                                  step->cancel));
    }
    for (size_t head = 0; head < config->n_heads; head++)
        step->kernels->scale_f32(step->attended + head * config->value_dim,
                                 1.0f / parts->sum[parts->n_tiles * config->n_heads + head],
                                 config->value_dim);
    return SPRAT_OK;
}

/* ---- all ------------------------------------------------------------------------------------- */

/* Below so many products the caller is done before the threads would have come. */
enum { ATTEND_ALONE = 200000 };

/* Bytes of tiles that wait, and the least tiles, of a wave. */
enum { ATTEND_PART_BYTES = 2 << 20, ATTEND_PART_TILES = 16 };

size_t sprat__attend_tiles(const struct sprat__config *config, size_t n_ctx)
{
    size_t n_tiles = n_ctx / SPRAT__KV_TILE + 1;
    size_t most = ATTEND_PART_BYTES / ((size_t)config->n_heads * config->value_dim * sizeof(float));
    most = most > ATTEND_PART_TILES ? most : ATTEND_PART_TILES;
    return n_tiles < most ? n_tiles : most;
}

sprat_status sprat__attend(struct sprat__step *step, uint32_t layer)
{
    const struct sprat__config *config = &step->model->config;
    struct attend_job job = {.step = step, .layer = layer, .scale = config->attention_scale};
    attend_cut(&job);
    size_t n_blocks = attend_blocks(&job) * config->n_kv_heads * job.n_slices;
    size_t row_products = (size_t)config->n_heads * (config->key_dim + config->value_dim);
    if (step->n * (step->position + step->n) <= ATTEND_ALONE / row_products) {
        for (size_t i = 0; i < n_blocks; i++)
            attend_queries(&job, i);
        return SPRAT_OK;
    }
    if (step->n > 1 || sprat__pool_threads(step->pool) == 1)
        return sprat__pool_run(step->pool, attend_queries, &job, n_blocks, step->cancel);
    if (attend_rounds(step))
        step->kernels->round_f32(step->q, (size_t)config->n_heads * config->key_dim, ATTEND_BITS);
    return attend_one_row(&job);
}
