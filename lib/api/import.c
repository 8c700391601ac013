/* Owns the rules by which size-prefixed structs cross the ABI. What the fields mean is left to the
 * entry points. Invariant: no byte beyond the size a caller states is read or written. */
#include "api/import.h"

#include <string.h>

static sprat_status import_check_size(size_t size, size_t first, const char *name,
                                      struct sprat__err *err)
{
    if (size < first || size > SPRAT__STRUCT_MAX)
        return sprat__fail(err, SPRAT_INVALID, "%s.size is %zu, expected %zu to %d", name, size,
                           first, SPRAT__STRUCT_MAX);
    return SPRAT_OK;
}

sprat_status sprat__import(void *to, size_t known, size_t first, const void *from, const char *name,
                           struct sprat__err *err)
{
    SPRAT_ASSERT(first >= sizeof(size_t) && first <= known && known <= SPRAT__STRUCT_MAX);
    memset(to, 0, known);
    if (from) {
        const unsigned char *bytes = from;
        size_t size;
        memcpy(&size, bytes, sizeof size);
        SPRAT_TRY(import_check_size(size, first, name, err));
        for (size_t i = known; i < size; i++)
            if (bytes[i] != 0)
                return sprat__fail(err, SPRAT_UNSUPPORTED,
                                   "%s sets byte %zu, which version %d.%d of this struct, %zu "
                                   "bytes long, does not have",
                                   name, i, SPRAT_VERSION_MAJOR, SPRAT_VERSION_MINOR, known);
        memcpy(to, bytes, size < known ? size : known);
    }
    memcpy(to, &known, sizeof known);
    return SPRAT_OK;
}

sprat_status sprat__export_check(const void *to, size_t first, const char *name,
                                 struct sprat__err *err)
{
    if (!to)
        return sprat__fail(err, SPRAT_INVALID, "%s is NULL", name);
    size_t size;
    memcpy(&size, to, sizeof size);
    return import_check_size(size, first, name, err);
}

sprat_status sprat__export(void *to, const void *from, size_t known, size_t first, const char *name,
                           struct sprat__err *err)
{
    SPRAT_ASSERT(first >= sizeof(size_t) && first <= known && known <= SPRAT__STRUCT_MAX);
    SPRAT_TRY(sprat__export_check(to, first, name, err));
    unsigned char *bytes = to;
    const unsigned char *source = from;
    size_t size;
    memcpy(&size, bytes, sizeof size);
    size_t n = size < known ? size : known;
    memcpy(bytes + sizeof size, source + sizeof size, n - sizeof size);
    memset(bytes + n, 0, size - n);
    return SPRAT_OK;
}

void sprat__export_error(sprat_error *caller, const struct sprat__err *err)
{
    if (!caller)
        return;
    struct sprat__err ignored;
    sprat_error line;
    memset(&line, 0, sizeof line);
    line.status = err->status;
    size_t len = 0;
    while (len + 1 < sizeof line.message && err->message[len] != '\0')
        len++;
    memcpy(line.message, err->message, len);
    (void)sprat__export(caller, &line, sizeof line, sizeof line, "error", &ignored);
}

sprat_status sprat__report(sprat_error *caller, const struct sprat__err *err, sprat_status status)
{
    static const struct sprat__err none = {SPRAT_OK, ""};
    sprat__export_error(caller, status == SPRAT_OK ? &none : err);
    return status;
}
