/* The tokeniser fixtures, as their FORMAT.txt describes them: vocabularies, a corpus in chunks, and
 * for each vocabulary the count and hash of the ids of each chunk. Files may be gzipped; gzip
 * unpacks them through a pipe. Everything here ends the test where a file is missing or short. */
#ifndef SPRAT_TEST_TOKENIZER_DATA_H
#define SPRAT_TEST_TOKENIZER_DATA_H

#include "format/gguf.h"
#include "tokenizer/tokenizer.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct td_bytes {
    char *data; /* one zero byte follows */
    size_t len;
};

/* folder/name, or folder/name.gz unpacked; data is NULL where there is neither. */
static inline struct td_bytes td_read(const char *folder, const char *name)
{
    struct td_bytes out = {NULL, 0};
    char path[1024], command[1100];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    bool packed = !file;
    if (packed) {
        snprintf(path, sizeof path, "%s/%s.gz", folder, name);
        if (access(path, R_OK) != 0)
            return out;
        snprintf(command, sizeof command, "gzip -dc '%s'", path);
        file = popen(command, "r");
    }
    ck_assert_ptr_nonnull(file);
    size_t capacity = 1 << 16;
    out.data = malloc(capacity + 1);
    for (;;) {
        size_t n = fread(out.data + out.len, 1, capacity - out.len, file);
        out.len += n;
        if (n == 0)
            break;
        if (out.len == capacity)
            out.data = realloc(out.data, (capacity *= 2) + 1);
    }
    ck_assert_int_eq(packed ? pclose(file) : fclose(file), 0);
    out.data[out.len] = '\0';
    return out;
}

/* An open vocabulary. */
struct td_vocab {
    struct td_bytes file;
    struct sprat__gguf gguf;
    struct sprat__tokenizer *tokenizer;
};

/* False where the folder does not have that vocabulary. */
static inline bool td_open(struct td_vocab *vocab, struct sprat__mem *mem, const char *folder,
                           const char *name)
{
    char file[128];
    struct sprat__err err;
    snprintf(file, sizeof file, "%s.vocab.gguf", name);
    vocab->file = td_read(folder, file);
    if (!vocab->file.data)
        return false;
    struct sprat_source source = {.size = sizeof source,
                                  .kind = SPRAT_SOURCE_MEMORY,
                                  .data = vocab->file.data,
                                  .length = vocab->file.len};
    ck_assert_int_eq(sprat__gguf_open(&vocab->gguf, mem, &source, &err), SPRAT_OK);
    ck_assert_int_eq(sprat__tokenizer_create(&vocab->tokenizer, mem, &vocab->gguf, &err), SPRAT_OK);
    ck_assert_ptr_nonnull(vocab->tokenizer);
    return true;
}

static inline void td_close(struct td_vocab *vocab)
{
    sprat__tokenizer_destroy(vocab->tokenizer);
    sprat__gguf_close(&vocab->gguf);
    free(vocab->file.data);
}

/* A chunk of the corpus. */
struct td_chunk {
    const char *text;
    size_t len;
    char kind[12];
};

struct td_corpus {
    struct td_bytes bytes;
    struct td_chunk *chunks;
    size_t n_chunks;
};

static inline struct td_corpus td_open_corpus(const char *folder)
{
    struct td_corpus corpus = {td_read(folder, "corpus.bin"), NULL, 0};
    struct td_bytes list = td_read(folder, "corpus.txt");
    ck_assert_ptr_nonnull(corpus.bytes.data);
    ck_assert_ptr_nonnull(list.data);
    corpus.chunks = calloc(list.len / 8 + 1, sizeof *corpus.chunks);
    for (char *line = strtok(list.data, "\n"); line; line = strtok(NULL, "\n")) {
        size_t number, offset, len;
        char kind[12];
        if (line[0] == '#')
            continue;
        ck_assert_int_eq(sscanf(line, "%zu %zu %zu %11s", &number, &offset, &len, kind), 4);
        ck_assert_uint_eq(number, corpus.n_chunks);
        ck_assert_uint_le(len, corpus.bytes.len);
        ck_assert_uint_le(offset, corpus.bytes.len - len);
        struct td_chunk *chunk = &corpus.chunks[corpus.n_chunks++];
        chunk->text = corpus.bytes.data + offset;
        chunk->len = len;
        memcpy(chunk->kind, kind, sizeof kind);
    }
    free(list.data);
    return corpus;
}

static inline void td_close_corpus(struct td_corpus *corpus)
{
    free(corpus->chunks);
    free(corpus->bytes.data);
}

enum { TD_PLAIN, TD_SPECIAL, TD_USER, TD_RAW, TD_RAW_SPECIAL, TD_SETS };

struct td_row {
    bool there;
    size_t n_tokens;
    uint64_t hash;
};

/* rows[chunk][set]; NULL where the folder has none for that vocabulary. */
static inline struct td_row (*td_open_rows(const char *folder, const char *name,
                                           size_t n_chunks))[TD_SETS]
{
    static const char *const sets[TD_SETS] = {"plain", "special", "user", "raw", "raw_special"};
    char file[128];
    snprintf(file, sizeof file, "%s.expect.txt", name);
    struct td_bytes list = td_read(folder, file);
    if (!list.data)
        return NULL;
    struct td_row(*rows)[TD_SETS] = calloc(n_chunks, sizeof *rows);
    for (char *line = strtok(list.data, "\n"); line; line = strtok(NULL, "\n")) {
        size_t chunk, n_tokens;
        unsigned long long hash;
        char set[16];
        if (line[0] == '#')
            continue;
        ck_assert_int_eq(sscanf(line, "%zu %15s %zu %llx", &chunk, set, &n_tokens, &hash), 4);
        ck_assert_uint_lt(chunk, n_chunks);
        int i = 0;
        while (i < TD_SETS && strcmp(sets[i], set) != 0)
            i++;
        ck_assert_int_lt(i, TD_SETS);
        rows[chunk][i].there = true;
        rows[chunk][i].n_tokens = n_tokens;
        rows[chunk][i].hash = hash;
    }
    free(list.data);
    return rows;
}

static inline uint64_t td_hash(const sprat_token *ids, size_t n)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++) {
        for (int byte = 0; byte < 4; byte++)
            hash = (hash ^ ((uint32_t)ids[i] >> 8 * byte & 0xff)) * 0x100000001b3u;
    }
    return hash;
}

#endif
