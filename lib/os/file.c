/* Owns the opening, mapping and reading of model files. Leaves what the bytes mean to format/.
 * Invariant: an open file has either data (all its bytes, mapped or the caller's) or a way to
 * read them, and nothing outside its range is ever asked for. Mapping reads nothing: pages come
 * when they are touched. WASI maps nothing: there a file is read as a callback's source is. */
#define _POSIX_C_SOURCE   200809L
#define _FILE_OFFSET_BITS 64
#include "os/file.h"

#include "base/checked.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#if !defined(__wasi__)
#include <sys/mman.h>
#endif

enum { FILE_LABEL_BYTES = 128 };

/* The end of a path tells more than its beginning. */
static const char *file_label(char out[FILE_LABEL_BYTES], const char *path)
{
    size_t len = strlen(path), shown = len < 96 ? len : 96;
    return sprat__quote(out, FILE_LABEL_BYTES, path + (len - shown), shown);
}

#if defined(__wasi__)

/* [offset, offset + bytes) of fd, to be read while the model is opened. */
static sprat_status file_map(struct sprat__file *file, int fd, uint64_t offset, uint64_t bytes,
                             const char *label, struct sprat__err *err)
{
    (void)label, (void)err;
    file->fd = fd;
    file->fd_offset = offset;
    file->bytes = bytes;
    return SPRAT_OK;
}

static void file_unmap(struct sprat__file *file)
{
    if (file->closes_fd)
        close(file->fd);
}

/* Whether the file is needed after opening. */
static bool file_keeps(struct sprat__file *file)
{
    file->closes_fd = true;
    return true;
}

#else

/* Maps [offset, offset + bytes) of fd: from the page below offset on. */
static sprat_status file_map(struct sprat__file *file, int fd, uint64_t offset, uint64_t bytes,
                             const char *label, struct sprat__err *err)
{
    long page = sysconf(_SC_PAGESIZE);
    uint64_t below = page > 0 ? offset % (uint64_t)page : 0;
    uint64_t total;
    size_t map_bytes;
    if (!sprat__add_u64(bytes, below, &total) || !sprat__to_size(total, &map_bytes))
        return sprat__fail(err, SPRAT_NO_MEMORY, "%s: %llu bytes do not fit the address space",
                           label, (unsigned long long)bytes);
    void *map = mmap(NULL, map_bytes, PROT_READ, MAP_PRIVATE, fd, (off_t)(offset - below));
    if (map == MAP_FAILED) {
        int code = errno;
        return sprat__fail(err, code == ENOMEM ? SPRAT_NO_MEMORY : SPRAT_IO,
                           "%s: %llu bytes cannot be mapped (errno %d)", label,
                           (unsigned long long)bytes, code);
    }
    file->map = map;
    file->map_bytes = map_bytes;
    file->data = (const uint8_t *)map + below;
    file->bytes = bytes;
    return SPRAT_OK;
}

static void file_unmap(struct sprat__file *file)
{
    if (file->map)
        munmap(file->map, file->map_bytes);
}

/* A mapping stays without its file. */
static bool file_keeps(struct sprat__file *file)
{
    (void)file;
    return false;
}

#endif

/* length: 0 for all up to the end. */
static sprat_status file_open_fd(struct sprat__file *file, int fd, uint64_t offset, uint64_t length,
                                 const char *label, struct sprat__err *err)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        return sprat__fail(err, SPRAT_IO, "%s: its size cannot be read (errno %d)", label, errno);
    if (!S_ISREG(info.st_mode))
        return sprat__fail(err, SPRAT_NOT_A_FILE, "%s: expected a regular file, found %s", label,
                           S_ISDIR(info.st_mode)    ? "a directory"
                           : S_ISFIFO(info.st_mode) ? "a pipe"
                           : S_ISSOCK(info.st_mode) ? "a socket"
                                                    : "a device");
    uint64_t size = info.st_size > 0 ? (uint64_t)info.st_size : 0;
    if (size == 0)
        return sprat__fail(err, SPRAT_EMPTY_FILE, "%s: the file is empty", label);
    if (offset > size || length > size - offset)
        return sprat__fail(err, SPRAT_TRUNCATED,
                           "%s: the model is said to be %llu bytes at offset %llu, the file has "
                           "%llu bytes",
                           label, (unsigned long long)length, (unsigned long long)offset,
                           (unsigned long long)size);
    if (length == 0)
        length = size - offset;
    if (length == 0)
        return sprat__fail(err, SPRAT_EMPTY_FILE, "%s: nothing follows offset %llu", label,
                           (unsigned long long)offset);
    return file_map(file, fd, offset, length, label, err);
}

static sprat_status file_open_path(struct sprat__file *file, const char *path,
                                   struct sprat__err *err)
{
    char label[FILE_LABEL_BYTES];
    file_label(label, path);
    int fd;
    /* Without O_NONBLOCK the opening of a pipe would wait for its writer. */
    do
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        int code = errno;
        if (code == ENOENT || code == ENOTDIR)
            return sprat__fail(err, SPRAT_NO_FILE, "%s: there is no such file", label);
        if (code == EACCES || code == EPERM)
            return sprat__fail(err, SPRAT_IO, "%s: reading it is not permitted", label);
        if (code == ENXIO)
            return sprat__fail(err, SPRAT_NOT_A_FILE,
                               "%s: expected a regular file, found a socket or a device", label);
        return sprat__fail(err, SPRAT_IO, "%s: it cannot be opened (errno %d)", label, code);
    }
    sprat_status status = file_open_fd(file, fd, 0, 0, label, err);
    if (status != SPRAT_OK || !file_keeps(file))
        close(fd);
    return status;
}

sprat_status sprat__file_open(struct sprat__file *file, const struct sprat_source *source,
                              struct sprat__err *err)
{
    memset(file, 0, sizeof *file);
    switch (source->kind) {
    case SPRAT_SOURCE_PATH:
        if (!source->path)
            return sprat__fail(err, SPRAT_INVALID, "source: path is NULL");
        return file_open_path(file, source->path, err);
    case SPRAT_SOURCE_FD:
        return file_open_fd(file, source->fd, source->offset, source->length, "the file descriptor",
                            err);
    case SPRAT_SOURCE_MEMORY: {
        size_t bytes;
        if (source->length == 0)
            return sprat__fail(err, SPRAT_EMPTY_FILE, "the memory source has length 0");
        if (!source->data || !sprat__to_size(source->length, &bytes))
            return sprat__fail(err, SPRAT_INVALID, "source: no %llu bytes of memory at data",
                               (unsigned long long)source->length);
        file->data = source->data;
        file->bytes = bytes;
        return SPRAT_OK;
    }
    case SPRAT_SOURCE_CALLBACK:
        if (!source->read)
            return sprat__fail(err, SPRAT_INVALID, "source: read is NULL");
        if (source->length == 0)
            return sprat__fail(err, SPRAT_EMPTY_FILE, "the callback source has length 0");
        file->read = source->read;
        file->read_user = source->read_user;
        file->bytes = source->length;
        return SPRAT_OK;
    default:
        return sprat__fail(err, SPRAT_INVALID, "source: kind %u is none of 0 to 3",
                           (unsigned)source->kind);
    }
}

void sprat__file_close(struct sprat__file *file)
{
    file_unmap(file);
    memset(file, 0, sizeof *file);
}

/* Fills the buffer from the file itself. */
static sprat_status file_read_fd(const struct sprat__file *file, uint64_t offset, void *buffer,
                                 size_t n, struct sprat__err *err)
{
    for (size_t done = 0; done < n;) {
        off_t at = (off_t)(file->fd_offset + offset + done);
        ssize_t got = pread(file->fd, (uint8_t *)buffer + done, n - done, at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return sprat__fail(err, SPRAT_IO, "%zu bytes at offset %llu cannot be read (errno %d)",
                               n, (unsigned long long)offset, got < 0 ? errno : 0);
        done += (size_t)got;
    }
    return SPRAT_OK;
}

sprat_status sprat__file_read(const struct sprat__file *file, uint64_t offset, void *buffer,
                              size_t n, struct sprat__err *err)
{
    if (offset > file->bytes || n > file->bytes - offset)
        return sprat__fail(err, SPRAT_TRUNCATED,
                           "%zu bytes at offset %llu are wanted, the file has %llu bytes", n,
                           (unsigned long long)offset, (unsigned long long)file->bytes);
    if (n == 0)
        return SPRAT_OK;
    if (file->data) {
        memcpy(buffer, file->data + (size_t)offset, n);
        return SPRAT_OK;
    }
    if (!file->read)
        return file_read_fd(file, offset, buffer, n, err);
    int32_t result = file->read(file->read_user, offset, buffer, n);
    if (result != 0)
        return sprat__fail(err, SPRAT_IO, "the read callback gave %d for %zu bytes at offset %llu",
                           (int)result, n, (unsigned long long)offset);
    return SPRAT_OK;
}
