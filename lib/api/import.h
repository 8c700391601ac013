/* The border of the ABI: structs that begin with their size go in and out through here, so that a
 * program built against an older or a newer header is understood or refused, never misread. Zero
 * means "default" in every field of every such struct. doc/abi.md. */
#ifndef SPRAT__IMPORT_H
#define SPRAT__IMPORT_H

#include "base/status.h"

/* No struct of the API may ever be larger. */
#define SPRAT__STRUCT_MAX 4096

/* Where a struct ended in its first release: the end of the field that was its last. */
#define SPRAT__END_OF(type, field) (offsetof(type, field) + sizeof(((type *)0)->field))

/* Copies the caller's struct into to, which has known bytes, its size included.
 * from: NULL for all defaults. first: the struct's bytes in the release that brought it. name: for
 * the error line. The copy's size is known. A shorter struct's missing tail is 0. INVALID: size
 * below first or above SPRAT__STRUCT_MAX. UNSUPPORTED: bytes beyond known that are not 0. Never
 * reads beyond the caller's size. */
sprat_status sprat__import(void *to, size_t known, size_t first, const void *from, const char *name,
                           struct sprat__err *err);

/* Fills the caller's struct from one of known bytes. At most the caller's size is written; what
 * lies beyond known becomes 0; its size stays as it was. INVALID: to is NULL, or its size is below
 * first or above SPRAT__STRUCT_MAX. */
sprat_status sprat__export(void *to, const void *from, size_t known, size_t first, const char *name,
                           struct sprat__err *err);

/* Whether export to this struct would succeed: for calls that change something first. */
sprat_status sprat__export_check(const void *to, size_t first, const char *name,
                                 struct sprat__err *err);

/* Writes err into the caller's error struct; caller may be NULL. One whose size is not allowed is
 * left alone: there is nobody to tell. */
void sprat__export_error(sprat_error *caller, const struct sprat__err *err);

/* The end of every public call with an error struct: status as it is, and caller holding err's line
 * or, for OK, no line. */
sprat_status sprat__report(sprat_error *caller, const struct sprat__err *err, sprat_status status);

#endif
