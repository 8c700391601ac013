/* Owns the table of tensor types and the size of a row of each. */
#include "tensor/dtype.h"

#include "base/checked.h"

const struct sprat__dtype_info *sprat__dtype_info(uint32_t id)
{
    static const struct sprat__dtype_info infos[SPRAT__N_DTYPES] = {
#define ROW(name, id, elements, bytes) [id] = {#name, elements, bytes},
        SPRAT__DTYPES(ROW)
#undef ROW
    };
    return id < SPRAT__N_DTYPES && infos[id].name ? &infos[id] : NULL;
}

bool sprat__dtype_row_bytes(uint32_t id, uint64_t n, uint64_t *out)
{
    const struct sprat__dtype_info *info = sprat__dtype_info(id);
    if (!info || n % info->block_elements != 0)
        return false;
    return sprat__mul_u64(n / info->block_elements, info->block_bytes, out);
}
