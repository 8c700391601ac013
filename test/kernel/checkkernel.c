/* checkkernel: every kernel of every set that this CPU has, against the scalar C, bit for bit. A
 * row of kernel.def that a set provides and nobody checks is a failure.
 *
 *   checkkernel [--set NAME] [--kernel ROW] [--seed N] [--bench] [--unguarded]
 *
 * --unguarded leaves the pages around areas open, for emulators that read what a masked load leaves
 * out.
 */
#define _GNU_SOURCE
#include "checkkernel.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#if !defined(__wasi__)
#include <signal.h>
#include <sys/mman.h>
#endif

enum { AREA_BYTES = 4 << 20, PATTERN = 0xa5, WATCHED = 256 };

static const struct check *const lists[] = {checks_f32, checks_i8, checks_attend};

static const char *const rows[] = {
#define SPRAT__KERNEL(name, result, parameters) #name,
#include "kernel/kernel.def"
#undef SPRAT__KERNEL
};
enum { N_ROWS = sizeof rows / sizeof *rows };

/* Which rows of two tables are not the same function. */
static void compare_tables(bool *differs, const struct sprat__kernels *a,
                           const struct sprat__kernels *b)
{
    size_t i = 0;
#define SPRAT__KERNEL(name, result, parameters) differs[i++] = a->name != b->name;
#include "kernel/kernel.def"
#undef SPRAT__KERNEL
}

struct area {
    uint8_t *first;
    size_t page, begin, end; /* the object in it */
};

static struct area areas[CHECK_N_AREAS];

/* WASI guards no pages and sends no signals: there the bytes around an object are watched only. */
#if defined(__wasi__)

static void make_areas(bool is_guarded)
{
    static uint8_t memory[CHECK_N_AREAS][AREA_BYTES];
    (void)is_guarded;
    for (int i = 0; i < CHECK_N_AREAS; i++)
        areas[i] = (struct area){.first = memory[i]};
}

#else

static void make_areas(bool is_guarded)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (int i = 0; i < CHECK_N_AREAS; i++) {
        void *memory = mmap(NULL, AREA_BYTES + 2 * page, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED || (is_guarded && (mprotect(memory, page, PROT_NONE) != 0 ||
                                                    mprotect((uint8_t *)memory + page + AREA_BYTES,
                                                             page, PROT_NONE) != 0))) {
            puts("Bail out! no memory");
            exit(EXIT_FAILURE);
        }
        areas[i].first = (uint8_t *)memory + page;
        areas[i].page = page;
    }
}

#endif

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

void *check_place(int index, size_t bytes, int place, size_t unit)
{
    struct area *area = &areas[index];
    size_t begin = place == CHECK_AT_END ? AREA_BYTES - bytes : (size_t)place * unit;
    if (bytes > AREA_BYTES || begin > AREA_BYTES - bytes) {
        puts("Bail out! an object is larger than its area");
        exit(EXIT_FAILURE);
    }
    area->begin = begin;
    area->end = begin + bytes;
    size_t before = least(begin, WATCHED), after = least(AREA_BYTES - area->end, WATCHED);
    memset(area->first + begin - before, PATTERN, before + bytes + after);
    return area->first + begin;
}

bool check_is_untouched(int index)
{
    const struct area *area = &areas[index];
    size_t before = least(area->begin, WATCHED), after = least(AREA_BYTES - area->end, WATCHED);
    for (size_t i = 0; i < before; i++) {
        if (area->first[area->begin - 1 - i] != PATTERN)
            return check_differs("%zu bytes before the object were written", i + 1);
    }
    for (size_t i = 0; i < after; i++) {
        if (area->first[area->end + i] != PATTERN)
            return check_differs("byte %zu after the object was written", i);
    }
    return true;
}

static uint64_t random_state;

uint64_t check_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * 0x2545f4914f6cdd1du;
}

static float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float one_float(int kind)
{
    uint32_t random = (uint32_t)(check_random() >> 32), sign = random & 0x80000000u;
    uint32_t choice = (uint32_t)(check_random() >> 40) % 8;
    switch (kind) {
    case CHECK_WIDE: /* exponents from 2^-30 to 2^30 */
        return float_of_bits(sign | (97 + random % 61) << 23 | (random >> 8 & 0x7fffff));
    case CHECK_ZEROS:
        return choice ? float_of_bits(sign) : 1.5f;
    case CHECK_TINY: /* subnormals, the smallest normals, a few ordinary ones */
        return choice < 4   ? float_of_bits(sign | (random & 0x7fffff))
               : choice < 7 ? float_of_bits(sign | (0x00800000 + (random & 0xffffff)))
                            : 0.75f;
    case CHECK_HUGE:
        return choice < 1   ? float_of_bits(sign | 0x7f800000)
               : choice < 3 ? float_of_bits(sign | 0x7f7fffff)
               : choice < 5 ? float_of_bits(sign | (0x7e800000 + (random & 0xffffff) % 0xffffff))
                            : float_of_bits(sign | 0x3f000000);
    default: /* -4 to 4 */
        return (float)((int32_t)random >> 8) * 0x1p-21f;
    }
}

void check_fill(float *x, size_t n, int kind)
{
    for (size_t i = 0; i < n; i++)
        x[i] = one_float(kind);
}

bool check_floats_equal(const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (memcmp(&a[i], &b[i], sizeof a[i]) != 0 && !(a[i] != a[i] && b[i] != b[i]))
            return check_differs("element %zu: %a, the scalar C gives %a", i, (double)b[i],
                                 (double)a[i]);
    }
    return true;
}

static const size_t real_lengths[] = {255, 256, 257, 576, 1408, 1536, 2048, 8960};
enum { N_SMALL_LENGTHS = 66 };

size_t check_n_lengths(void)
{
    return N_SMALL_LENGTHS + sizeof real_lengths / sizeof *real_lengths;
}

size_t check_length(size_t i)
{
    return i < N_SMALL_LENGTHS ? i : real_lengths[i - N_SMALL_LENGTHS];
}

bool check_differs(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("# ", stdout);
    vprintf(format, arguments);
    puts("");
    va_end(arguments);
    return false;
}

static char at_work[128];

#if defined(__wasi__)

static void catch_crashes(void) {}

#else

static void crashed(int number)
{
    static const char words[] = "\nBail out! a crash in ";
    (void)number;
    if (write(STDOUT_FILENO, words, sizeof words - 1) < 0 ||
        write(STDOUT_FILENO, at_work, strlen(at_work)) < 0)
        _exit(3);
    _exit(2);
}

static void catch_crashes(void)
{
    const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    struct sigaction action = {.sa_handler = crashed};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &action, NULL);
}

#endif

static bool is_of_row(const struct check *check, const char *row)
{
    size_t len = strlen(check->row);
    bool is_prefix = check->row[len - 1] == '_';
    return is_prefix ? strncmp(check->row, row, len) == 0 : strcmp(check->row, row) == 0;
}

static const struct check *find_check(const char *row)
{
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        for (const struct check *check = lists[i]; check->row; check++) {
            if (check->run && is_of_row(check, row))
                return check;
        }
    }
    return NULL;
}

/* A check whose row is gone checks nothing and is a mistake. */
static bool checks_have_rows(void)
{
    bool good = true;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        for (const struct check *check = lists[i]; check->row; check++) {
            bool is_found = false;
            for (size_t r = 0; r < N_ROWS; r++)
                is_found |= is_of_row(check, rows[r]);
            if (!is_found)
                good = check_differs("kernel.def has no row %s", check->row);
        }
    }
    return good;
}

struct options {
    const char *set, *kernel;
    uint64_t seed;
    bool bench, unguarded;
};

/* Of this thread where there are several: what others do on the machine matters less. */
#if defined(__wasi__)
#define CHECK_CLOCK CLOCK_MONOTONIC
#else
#define CHECK_CLOCK CLOCK_THREAD_CPUTIME_ID
#endif

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CHECK_CLOCK, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Work per second: the best of a few rounds of 30 ms. */
static double rate(const struct check *check, const struct sprat__kernels *kernels)
{
    double best = 0;
    for (int round = 0; round < 7; round++) {
        double work = 0, begin = seconds(), now;
        do {
            work += check->bench(kernels);
            now = seconds();
        } while (now - begin < 0.03);
        best = work / (now - begin) > best ? work / (now - begin) : best;
    }
    return best;
}

struct run {
    const struct options *options;
    struct sprat__kernels scalar;
    int n, n_failed;
};

static void tell(struct run *run, bool good, const char *set, const char *row)
{
    printf("%sok %d - %s %s\n", good ? "" : "not ", ++run->n, set, row);
    fflush(stdout);
    run->n_failed += !good;
}

static void measure_row(const struct run *run, const struct sprat__kernels *kernels,
                        const char *set, const char *row)
{
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        for (const struct check *check = lists[i]; check->row; check++) {
            if (!check->bench || !is_of_row(check, row))
                continue;
            double scalar = rate(check, &run->scalar), ours = rate(check, kernels);
            printf("%-12s %-20s %8.2f %s, %5.1f times the scalar C's %.2f\n", set, row, ours * 1e-9,
                   check->unit, ours / scalar, scalar * 1e-9);
        }
    }
}

static void one_row(struct run *run, const struct sprat__kernels *kernels, const char *set,
                    const char *row)
{
    const struct check *check = find_check(row);
    const struct check_pair pair = {&run->scalar, kernels};
    if (run->options->bench) {
        measure_row(run, kernels, set, row);
        return;
    }
    snprintf(at_work, sizeof at_work, "%s %s, seed %llu\n", set, row,
             (unsigned long long)run->options->seed);
    random_state = run->options->seed;
    if (!check)
        tell(run, check_differs("%s of %s has no check", row, set), set, row);
    else
        tell(run, check->run(&pair, row), set, row);
}

/* All rows in which a set differs from the sets before it. Of scalar, all: against itself, so that
 * what is proven is only that it stays within its arguments. */
static void one_set(struct run *run, const struct sprat__cpu *cpu, const char *before,
                    const char *set)
{
    struct sprat__kernels lower, kernels;
    bool is_new[N_ROWS];
    bool is_given =
        sprat__kernels_init(&lower, cpu, before) && sprat__kernels_init(&kernels, cpu, set);
    if (!is_given) {
        tell(run, false, set, "is no set");
        return;
    }
    compare_tables(is_new, &lower, &kernels);
    int n = 0;
    for (size_t i = 0; i < N_ROWS; i++) {
        is_new[i] |= strcmp(set, "scalar") == 0;
        n += is_new[i];
        if (is_new[i] && (!run->options->kernel || strcmp(run->options->kernel, rows[i]) == 0))
            one_row(run, &kernels, set, rows[i]);
    }
    if (n == 0 && !run->options->bench)
        printf("# %s: no kernel, or not on this CPU\n", set);
}

static bool read_options(struct options *options, int argc, char **argv)
{
    options->seed = 0x5b7a1e;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        bool *flag = strcmp(argv[i], "--bench") == 0       ? &options->bench
                     : strcmp(argv[i], "--unguarded") == 0 ? &options->unguarded
                                                           : NULL;
        if (flag) {
            *flag = true;
            continue;
        }
        if (!value)
            return false;
        if (strcmp(argv[i], "--set") == 0)
            options->set = value;
        else if (strcmp(argv[i], "--kernel") == 0)
            options->kernel = value;
        else if (strcmp(argv[i], "--seed") == 0)
            options->seed = strtoull(value, NULL, 0);
        else
            return false;
        i++;
    }
    bool is_row = !options->kernel;
    for (size_t i = 0; i < N_ROWS; i++)
        is_row |= options->kernel && strcmp(options->kernel, rows[i]) == 0;
    bool is_set = !options->set;
    for (const struct sprat__kernel_set *set = sprat__kernel_sets; set->name; set++)
        is_set |= options->set && strcmp(options->set, set->name) == 0;
    return options->seed != 0 && is_row && is_set;
}

int main(int argc, char **argv)
{
    struct options options = {0};
    struct run run = {.options = &options};
    struct sprat__cpu cpu;
    if (!read_options(&options, argc, argv)) {
        fputs("usage: checkkernel [--set NAME] [--kernel ROW] [--seed N, not 0] [--bench] "
              "[--unguarded]\n",
              stderr);
        return EXIT_FAILURE;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    make_areas(!options.unguarded);
    catch_crashes();
    sprat__cpu_detect(&cpu);
    sprat__kernels_init(&run.scalar, &cpu, "scalar");
    if (!options.bench) {
        printf("# seed %llu\n", (unsigned long long)options.seed);
        tell(&run, checks_have_rows(), "every check", "has its row");
    }
    const char *before = "scalar";
    if (options.set && strcmp(options.set, "scalar") == 0)
        one_set(&run, &cpu, before, "scalar");
    for (const struct sprat__kernel_set *set = sprat__kernel_sets; set->name; set++) {
        if (strcmp(set->name, before) != 0 && (!options.set || strcmp(options.set, set->name) == 0))
            one_set(&run, &cpu, before, set->name);
        before = set->name;
    }
    if (!options.bench)
        printf("1..%d\n", run.n);
    return run.n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
