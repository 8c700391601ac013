/* Owns the list of the first in the total order, kept in a binary heap. Leaves what values mean to
 * the sampler. Invariant of the heap: ids[i] comes after ids[2i + 1] and ids[2i + 2], so the last
 * of all is on top, where a better one replaces it. */
#include "sample/order.h"

#include <stddef.h>

/* Lets ids[i], whose place may be too high, sink to where it belongs. */
static void order_sink(const float *values, int32_t *ids, size_t n, size_t i)
{
    int32_t id = ids[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= n)
            break;
        if (child + 1 < n && sprat__order_before(values, ids[child], ids[child + 1]))
            child++;
        if (!sprat__order_before(values, id, ids[child]))
            break;
        ids[i] = ids[child];
        i = child;
    }
    ids[i] = id;
}

static void order_build(const float *values, int32_t *ids, size_t n)
{
    for (size_t i = n / 2; i-- > 0;)
        order_sink(values, ids, n, i);
}

void sprat__order_select(const float *values, uint32_t n, int32_t *ids, uint32_t k)
{
    for (uint32_t i = 0; i < k; i++)
        ids[i] = (int32_t)i;
    order_build(values, ids, k);
    for (uint32_t i = k; i < n; i++) {
        /* A later id never comes before an equal value. */
        if (values[i] > values[ids[0]]) {
            ids[0] = (int32_t)i;
            order_sink(values, ids, k, 0);
        }
    }
}

void sprat__order_sort(const float *values, int32_t *ids, uint32_t k)
{
    for (size_t n = k; n > 1; n--) {
        int32_t last = ids[0];
        ids[0] = ids[n - 1];
        ids[n - 1] = last;
        order_sink(values, ids, n - 1, 0);
    }
}
