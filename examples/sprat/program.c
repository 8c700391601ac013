/* What the subcommands share: see program.h. Owns the one place where an error line is written. */
#define _POSIX_C_SOURCE 200809L
#include "program.h"

#include "term.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int fail(const char *format, ...)
{
    char text[1024], line[2048];
    va_list list;
    va_start(list, format);
    (void)vsnprintf(text, sizeof text, format, list);
    va_end(list);
    size_t n = 0;
    for (const char *c = text; *c != '\0' && n + 5 < sizeof line; c++) {
        unsigned char byte = (unsigned char)*c;
        if (byte < 32 || byte == 127)
            n += (size_t)snprintf(line + n, sizeof line - n, "\\x%02x", byte);
        else
            line[n++] = *c;
    }
    (void)fflush(stdout);
    (void)fprintf(stderr, "sprat: %.*s\n", (int)n, line);
    return 1;
}

int fail_status(sprat_status status, const char *message)
{
    if (status == SPRAT_CANCELLED && term_signal())
        return fail("interrupted by signal %d", term_signal());
    if (message && message[0] != '\0')
        return fail("%s", message);
    return fail("%s (%s)", sprat_status_text(status), sprat_status_name(status));
}

bool bytes_add(struct bytes *b, const void *data, size_t len)
{
    if (len > SIZE_MAX / 2 - b->len)
        return false;
    if (b->len + len > b->capacity) {
        size_t capacity = b->capacity ? b->capacity : 4096;
        while (capacity < b->len + len)
            capacity *= 2;
        char *grown = realloc(b->data, capacity);
        if (!grown)
            return false;
        b->data = grown;
        b->capacity = capacity;
    }
    if (len)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    return true;
}

void bytes_end(struct bytes *b)
{
    free(b->data);
    memset(b, 0, sizeof *b);
}

int read_all(struct bytes *b, const char *path)
{
    char block[65536];
    const char *name = path ? path : "stdin";
    int fd = path ? open(path, O_RDONLY) : STDIN_FILENO;
    int status = 0;
    if (fd < 0)
        return fail("cannot open %s: %s", name, strerror(errno));
    for (;;) {
        ssize_t n = read(fd, block, sizeof block);
        if (n == 0)
            break;
        if (n < 0 && errno == EINTR && !term_signal())
            continue;
        if (n < 0) {
            status = term_signal() ? fail_status(SPRAT_CANCELLED, NULL)
                                   : fail("cannot read %s: %s", name, strerror(errno));
            break;
        }
        if (!bytes_add(b, block, (size_t)n)) {
            status = fail("no memory for what %s holds", name);
            break;
        }
    }
    if (path)
        (void)close(fd);
    return status;
}

int out_write(const void *data, size_t len)
{
    if (len && fwrite(data, 1, len, stdout) != len)
        return fail("cannot write to stdout: %s", strerror(errno));
    return 0;
}

int out_end(void)
{
    if (fflush(stdout) != 0)
        return fail("cannot write to stdout: %s", strerror(errno));
    return 0;
}

const char *printable(char *out, size_t room, const char *text, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (n + 8 > room) {
            memcpy(out + n, "...", 3);
            n += 3;
            break;
        }
        if (byte < 32 || byte == 127 || byte == '"' || byte == '\\')
            n += (size_t)snprintf(out + n, room - n, "\\x%02x", byte);
        else
            out[n++] = text[i];
    }
    out[n] = '\0';
    return out;
}

const char *size_text(char *out, uint64_t n_bytes)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)n_bytes;
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < sizeof units / sizeof *units) {
        value /= 1024;
        unit++;
    }
    (void)snprintf(out, 32, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return out;
}

double now_seconds(void)
{
    struct timespec t;
    if (clock_gettime(CLOCK_MONOTONIC, &t) != 0)
        return 0;
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int load_model(struct loaded *l, const struct options *o, const char *path)
{
    sprat_context_options options;
    sprat_source source;
    sprat_error error;
    memset(l, 0, sizeof *l);
    sprat_init(&options, sizeof options);
    sprat_init(&source, sizeof source);
    sprat_init(&error, sizeof error);
    sprat_init(&l->info, sizeof l->info);
    options.memory_budget = o->budget;
    options.cpu = o->cpu;
    options.n_threads = o->threads;
    source.kind = SPRAT_SOURCE_PATH;
    source.path = path;
    sprat_status status = sprat_context_create(&l->context, &options, &error);
    if (status == SPRAT_OK)
        status = sprat_model_open(&l->model, l->context, &source, NULL, &error);
    if (status == SPRAT_OK)
        status = sprat_model_get_info(l->model, &l->info);
    return status == SPRAT_OK ? 0 : fail_status(status, error.message);
}

void session_options(sprat_session_options *out, const struct options *o, uint32_t n_ctx)
{
    sprat_init(out, sizeof *out);
    out->n_ctx = n_ctx;
    out->n_chunk = o->chunk;
    out->numerics = o->numerics;
    out->kv_type = o->kv;
}

int load_session(struct loaded *l, const struct options *o, uint32_t n_ctx, uint32_t n_kept)
{
    sprat_session_options options;
    sprat_error error;
    sprat_init(&error, sizeof error);
    session_options(&options, o, n_ctx);
    options.n_kept = n_kept;
    sprat_status status = sprat_session_create(&l->session, l->model, &options, &error);
    if (status != SPRAT_OK)
        return fail_status(status, error.message);
    term_watch(l->session);
    return 0;
}

void loaded_end(struct loaded *l)
{
    term_watch(NULL);
    sprat_session_destroy(l->session);
    sprat_model_close(l->model);
    sprat_context_destroy(l->context);
    memset(l, 0, sizeof *l);
}
