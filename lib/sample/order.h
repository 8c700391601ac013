/* The total order of candidates and selection in it: a comes before b if its value is larger, or,
 * where values are equal (-0 = +0), if its id is lower. Values hold no NaN. Time O(n log k) at
 * worst and O(n) as a rule; no recursion, no memory but the ids. */
#ifndef SPRAT__ORDER_H
#define SPRAT__ORDER_H

#include <stdbool.h>
#include <stdint.h>

static inline bool sprat__order_before(const float *values, int32_t a, int32_t b)
{
    return values[a] > values[b] || (values[a] == values[b] && a < b);
}

/* Puts the first k of all n (0 < k <= n) into ids, the last of them at ids[0], the rest in no
 * order. */
void sprat__order_select(const float *values, uint32_t n, int32_t *ids, uint32_t k);
/* Sorts what sprat__order_select gave. */
void sprat__order_sort(const float *values, int32_t *ids, uint32_t k);

#endif
