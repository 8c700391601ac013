/* Owns how units of work are cut into tiles. Tiles begin long, because kernels read ahead in long
 * ranges of memory, and become short, so that the threads end together. Invariant: tiles follow
 * each other without gaps, and the last ones may reach beyond the units. */
#include "model/step.h"

void sprat__cut_units(struct sprat__cut *cut, size_t n_units, size_t least, size_t most,
                      size_t n_threads)
{
    size_t first = 0;
    cut->n_waves = cut->n_tiles = 0;
    while (first < n_units) {
        size_t left = n_units - first;
        size_t size = n_threads == 1 ? left : left / (2 * n_threads), n = n_threads;
        if (size > most) {
            n = size * n_threads / most;
            size = most;
        }
        if (size <= least || cut->n_waves == SPRAT__CUT_WAVES - 1) {
            size = least;
            n = (left + least - 1) / least;
        }
        cut->waves[cut->n_waves++] = (struct sprat__cut_wave){first, size, n};
        cut->n_tiles += n;
        first += n * size;
    }
}

size_t sprat__cut_tile(const struct sprat__cut *cut, size_t i, size_t *size)
{
    const struct sprat__cut_wave *wave = cut->waves;
    for (; i >= wave->n_tiles; wave++)
        i -= wave->n_tiles;
    *size = wave->size;
    return wave->first + i * wave->size;
}
