/* A matrix of weights as the model uses it: a view of bytes that lie in the file, at any address.
 */
#ifndef SPRAT__WEIGHT_H
#define SPRAT__WEIGHT_H

#include <stddef.h>
#include <stdint.h>

struct sprat__weight {
    const uint8_t *data; /* NULL: the model has none */
    size_t row_bytes;
    size_t n_rows; /* outputs */
    size_t n_cols; /* inputs */
    uint32_t type; /* enum sprat__dtype */
};

#endif
