/* What the golden tests share: whole files, the numbers of a JSON array, the folders of cases. */
#ifndef GOLDEN_H
#define GOLDEN_H

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GOLDEN_PATH = 1024 };

/* A file's bytes with a NUL behind them; the caller frees. */
static inline char *golden_read(const char *folder, const char *name, size_t *n)
{
    char path[GOLDEN_PATH];
    int len = snprintf(path, sizeof path, "%s/%s", folder, name);
    ck_assert(len > 0 && len < (int)sizeof path);
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s: cannot be opened", path);
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    char *bytes = malloc((size_t)size + 1);
    ck_assert_uint_eq(fread(bytes, 1, (size_t)size, file), (size_t)size);
    bytes[size] = '\0';
    fclose(file);
    if (n)
        *n = (size_t)size;
    return bytes;
}

/* The numbers of the first array named key at or after *at, which moves behind it; NULL when there
 * is none. The caller frees. */
static inline double *golden_numbers(const char **at, const char *key, size_t *n)
{
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\": [", key);
    const char *from = strstr(*at, quoted);
    if (!from)
        return NULL;
    char *end = (char *)(size_t)from + strlen(quoted);
    double *numbers = malloc(strlen(end) * sizeof *numbers / 2 + sizeof *numbers);
    *n = 0;
    while (*end && *end != ']') {
        char *next;
        numbers[*n] = strtod(end, &next);
        ck_assert_msg(next != end, "%s: not an array of numbers", key);
        *n += 1;
        end = next + strspn(next, ", \n");
    }
    *at = end;
    return numbers;
}

/* Calls check with each folder of cases whose name begins with one of the prefixes; how many. */
static inline size_t golden_each(const char *folder, const char *const *prefixes, size_t n_prefixes,
                                 void (*check)(const char *folder))
{
    DIR *directory = opendir(folder);
    ck_assert_msg(directory != NULL, "%s: no such folder", folder);
    size_t n = 0;
    for (struct dirent *entry; (entry = readdir(directory));) {
        for (size_t i = 0; i < n_prefixes; i++) {
            if (strncmp(entry->d_name, prefixes[i], strlen(prefixes[i])) != 0)
                continue;
            char path[GOLDEN_PATH];
            int len = snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
            ck_assert(len > 0 && len < (int)sizeof path);
            check(path);
            n++;
        }
    }
    closedir(directory);
    return n;
}

#endif
