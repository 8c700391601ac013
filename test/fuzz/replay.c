/* A plain main for fuzz targets, where libFuzzer is not: runs LLVMFuzzerTestOneInput over each file
 * given, or each file of a folder given, whole, cut at every length and edited --edits times. One
 * TAP line per file. A crash names the file and the copy; --first N --edits 1 makes it again. */
#define _GNU_SOURCE
#include "mutate.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Sanitizers call it before they end the process; absent without them. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

enum { WINDOW = 64 * 1024, TRUNCATIONS_MOST = 65536 };

static uint64_t seed = 1, first, n_edits = 2000;
static const char *current = "";

static void say_where(void)
{
    char line[512];
    int n = snprintf(line, sizeof line, "# crash: %s, %s %llu of seed %llu\n", current,
                     fuzz_at_kind, (unsigned long long)fuzz_at_number, (unsigned long long)seed);
    if (write(2, line, n < (int)sizeof line ? (size_t)n : sizeof line) < 0)
        return;
}

static void on_signal(int number)
{
    say_where();
    signal(number, SIG_DFL);
    raise(number);
}

static void one(void *user, const uint8_t *data, size_t len)
{
    (void)user;
    LLVMFuzzerTestOneInput(data, len);
}

static int replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    long len = -1;
    if (f && fseek(f, 0, SEEK_END) == 0)
        len = ftell(f);
    uint8_t *data = malloc(len > 0 ? (size_t)len : 1);
    if (len < 0 || !data || fseek(f, 0, SEEK_SET) != 0 ||
        fread(data, 1, (size_t)len, f) != (size_t)len) {
        fprintf(stderr, "%s: cannot be read\n", path);
        exit(1);
    }
    fclose(f);
    current = path;
    size_t n = (size_t)len, step = n / TRUNCATIONS_MOST + 1;
    fuzz_at_kind = "whole";
    fuzz_at_number = 0;
    LLVMFuzzerTestOneInput(data, n);
    fuzz_truncations(data, n, step, one, NULL);
    fuzz_edits(data, n, WINDOW, seed, first, n_edits, one, NULL);
    free(data);
    static int number;
    const char *name = strrchr(path, '/');
    printf("ok %d - %s: whole, %zu truncations, %llu edits\n", ++number, name ? name + 1 : path,
           (n + step - 1) / step, (unsigned long long)n_edits);
    return number;
}

static int replay_folder(const char *path)
{
    struct dirent **entries;
    int n = scandir(path, &entries, NULL, alphasort), done = 0;
    for (int i = 0; i < n; i++) {
        char name[4096];
        snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.')
            done = replay_file(name);
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
    return n < 0 ? -1 : done;
}

int main(int argc, char **argv)
{
    int done = 0;
    signal(SIGSEGV, on_signal);
    signal(SIGABRT, on_signal);
    signal(SIGFPE, on_signal);
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(say_where);
    for (int i = 1; i < argc; i++) {
        uint64_t *number = !strcmp(argv[i], "--seed")    ? &seed
                           : !strcmp(argv[i], "--first") ? &first
                           : !strcmp(argv[i], "--edits") ? &n_edits
                                                         : NULL;
        if (number && i + 1 < argc) {
            *number = strtoull(argv[++i], NULL, 10);
            continue;
        }
        int folder = replay_folder(argv[i]);
        done = folder < 0 ? replay_file(argv[i]) : folder;
    }
    printf("1..%d\n", done);
    return done > 0 ? 0 : 1;
}
