/* Bytes of a model file: mapped where the system can, otherwise the caller's memory, otherwise read
 * through callbacks or, where files cannot be mapped, from the file. The only code that opens
 * files. Sees no format. */
#ifndef SPRAT__FILE_H
#define SPRAT__FILE_H

#include "base/alloc.h"

#include <stdbool.h>

struct sprat__file {
    uint64_t bytes;      /* of the model, from its offset on */
    const uint8_t *data; /* all of them, mapped or in memory; NULL: they are read */
    void *map;           /* what to unmap, NULL if nothing */
    size_t map_bytes;
    int32_t (*read)(void *user, uint64_t offset, void *buffer, size_t n_bytes); /* CALLBACK */
    void *read_user;
    uint64_t fd_offset; /* where the model begins in the file that is read */
    int fd;             /* that file, where read is NULL */
    bool closes_fd;
};

/* source has been imported and checked for its kind's fields. Statuses: INVALID NO_FILE NOT_A_FILE
 * IO EMPTY_FILE TRUNCATED (an fd's offset or length beyond its end). Nothing is left open but the
 * mapping, or a path's file where files cannot be mapped. */
sprat_status sprat__file_open(struct sprat__file *file, const struct sprat_source *source,
                              struct sprat__err *err);
void sprat__file_close(struct sprat__file *file);

/* Copies n bytes at offset, for files without data too. TRUNCATED, IO. */
sprat_status sprat__file_read(const struct sprat__file *file, uint64_t offset, void *buffer,
                              size_t n, struct sprat__err *err);

#endif
