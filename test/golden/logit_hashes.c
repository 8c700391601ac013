/* One answer on every CPU: the bits of all logits of reference models, against hashes stored in
 * hashes.txt, over the sets of instructions this CPU has, threads and chunks. Public headers and
 * the C library only, so that it builds with the one-file sprat.c as well and runs wherever that
 * does:
 *
 *   logit_hashes [option]... FOLDER      FOLDER: test/golden
 *     --data FOLDER    more models, in golden/ there: the whole set; or SPRAT_TEST_DATA
 *     --model FILE     SmolLM2-135M-Instruct.Q4_1.gguf; or SPRAT_TEST_MODEL
 *     --real           that one only
 *     --no-real        all but that
 *     --set NAME       this set only
 *     --part N         one in N models only, for slow emulators
 *     --threads N      at most N threads
 *     --few            each model with each set once, not once for each number of threads and chunk
 *     --all            every number of threads with every chunk
 *     --write          writes hashes.txt anew, from the scalar C: a change of the numerics, which
 *                      asks for a new sprat_numerics_version and a "kernel:" line in CHANGELOG
 *
 * Prints TAP: a line for each model, numerics and set. Rows of hashes.txt: where the model is, its
 * numerics, how many tokens, the FNV-1a hash of the float32 bits of all their logits. */
#include <sprat/sprat.h>

#include <dirent.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PATH = 1024, MOST_NAME = 96, MOST_CASES = 200, MOST_TOKENS = 1024, N_WAYS = 4 };

static const char *const set_names[] = {"scalar",     "sse41", "avx2",    "avxvnni", "avx512",
                                        "avx512vnni", "neon",  "dotprod", "i8mm",    "wasm"};
/* The families of these models; others in the folders are for later. */
static const char *const families[] = {"llama_", "qwen2_", "qwen3_", "q128_",
                                       "q256_",  "v2_",    "v3_",    "q256ds"};
static const uint32_t thread_counts[N_WAYS] = {1, 2, 3, 7}, chunk_sizes[N_WAYS] = {1, 7, 64, 512};
static const struct {
    const char *name;
    uint32_t numerics;
} numerics[] = {{"int8", SPRAT_NUMERICS_INT8}, {"f32", SPRAT_NUMERICS_F32}};
enum { N_SETS = sizeof set_names / sizeof *set_names, N_NUMERICS = 2 };

enum mode { COVERING, FEW, ALL };

struct options {
    const char *folder, *data, *model, *set;
    uint32_t most_threads, part;
    enum mode mode;
    bool no_small, no_real, write;
};

struct test_case {
    char name[2 * MOST_NAME]; /* "models/q256_Q8_0": as in hashes.txt */
    char model[MOST_PATH];
    sprat_token tokens[MOST_TOKENS];
    size_t n_tokens;
    uint64_t hash[N_NUMERICS]; /* as stored */
    bool has_hash[N_NUMERICS];
};

static struct test_case cases[MOST_CASES];
static size_t n_cases;
static int n_told, n_failed;

static void fail(const char *what, const char *name)
{
    printf("Bail out! %s: %s\n", name, what);
    exit(EXIT_FAILURE);
}

static void tell(bool good, const char *name, const char *how, const char *set)
{
    printf("%sok %d - %s %s %s\n", good ? "" : "not ", ++n_told, name, how, set);
    fflush(stdout);
    n_failed += !good;
}

/* The whole file with a NUL behind it; NULL if it cannot be read. */
static char *read_text(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    char *text = malloc((size_t)size + 1);
    if (!text || fread(text, 1, (size_t)size, file) != (size_t)size)
        fail("cannot be read", path);
    text[size] = '\0';
    fclose(file);
    return text;
}

/* The first array of that key in a file of JSON. */
static void read_tokens(struct test_case *at, const char *path, const char *key)
{
    char *text = read_text(path), *from = text ? strstr(text, key) : NULL;
    if (!from)
        fail("no tokens", path);
    from += strlen(key);
    while (*from != ']' && at->n_tokens < MOST_TOKENS) {
        at->tokens[at->n_tokens++] = (sprat_token)strtol(from, &from, 10);
        from += strspn(from, ", \n");
    }
    free(text);
}

static bool is_known(const char *name)
{
    for (size_t i = 0; i < n_cases; i++) {
        if (strcmp(strchr(cases[i].name, '/') + 1, name) == 0)
            return true;
    }
    return false;
}

static struct test_case *add_case(const char *place, const char *name)
{
    if (n_cases == MOST_CASES)
        fail("too many cases", name);
    struct test_case *at = &cases[n_cases++];
    int len = snprintf(at->name, sizeof at->name, "%s/%s", place, name);
    if (len < 0 || len >= MOST_NAME)
        fail("too long a name", name);
    return at;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct test_case *)a)->name, ((const struct test_case *)b)->name);
}

/* The models in a folder, sorted by name; those known by then are left out. */
static void find_cases(const char *folder, const char *place)
{
    char path[MOST_PATH];
    snprintf(path, sizeof path, "%s/%s", folder, place);
    DIR *directory = opendir(path);
    if (!directory)
        fail("no such folder", path);
    size_t first = n_cases;
    for (struct dirent *entry; (entry = readdir(directory));) {
        bool is_family = false;
        for (size_t i = 0; i < sizeof families / sizeof *families; i++)
            is_family |= strncmp(entry->d_name, families[i], strlen(families[i])) == 0;
        if (!is_family || is_known(entry->d_name))
            continue;
        struct test_case *at = add_case(place, entry->d_name);
        int len = snprintf(at->model, sizeof at->model, "%s/%s/model.gguf", folder, at->name);
        len = len < 0 || len >= MOST_PATH
                  ? len
                  : snprintf(path, sizeof path, "%s/%s/case.json", folder, at->name);
        if (len < 0 || len >= MOST_PATH)
            fail("too long a path", at->name);
        read_tokens(at, path, "\"tokens\": [");
    }
    closedir(directory);
    qsort(cases + first, n_cases - first, sizeof *cases, by_name);
}

static void find_real_case(const char *folder, const char *model)
{
    char path[MOST_PATH];
    struct test_case *at = add_case("real", "smollm2_q4_1");
    snprintf(at->model, sizeof at->model, "%s", model);
    snprintf(path, sizeof path, "%s/smollm2/cases.json", folder);
    read_tokens(at, path, "\"ids\": [");
}

static bool is_real(const struct test_case *at)
{
    return strncmp(at->name, "real/", 5) == 0;
}

/* One row "name numerics tokens hash" into its case, if that is here. */
static void take_row(const char *line)
{
    char name[MOST_NAME], how[16];
    unsigned n;
    uint64_t hash;
    if (sscanf(line, "%95s %15s %u %" SCNx64, name, how, &n, &hash) != 4)
        fail("not a row", line);
    bool is_met = strncmp(name, "models/", 7) != 0; /* others need not be here */
    for (size_t i = 0; i < n_cases; i++) {
        for (size_t k = 0; k < N_NUMERICS; k++) {
            if (strcmp(cases[i].name, name) == 0 && strcmp(numerics[k].name, how) == 0 &&
                cases[i].n_tokens == n) {
                cases[i].hash[k] = hash;
                cases[i].has_hash[k] = true;
                is_met = true;
            }
        }
    }
    if (!is_met)
        tell(false, name, how, "has a row, but no model");
}

/* hashes.txt: comments, "numerics N", rows. */
static void read_hashes(const struct options *options)
{
    char path[MOST_PATH];
    snprintf(path, sizeof path, "%s/hashes.txt", options->folder);
    char *text = read_text(path);
    unsigned version = 0;
    if (!text)
        fail("cannot be opened", path);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        bool is_row = sscanf(line, "numerics %u", &version) != 1 && *line != '#';
        if (is_row && !(options->no_small && strncmp(line, "real/", 5) != 0))
            take_row(line);
    }
    free(text);
    tell(version == sprat_numerics_version(), "hashes.txt", "is of", "this sprat_numerics_version");
}

static uint64_t hash_floats(uint64_t hash, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        for (int k = 0; k < 4; k++, bits >>= 8)
            hash = (hash ^ (bits & 255)) * 0x100000001b3u;
    }
    return hash;
}

/* The hash of all logits of a case, computed one way; false, and told, if that fails. */
static bool hash_logits(uint64_t *hash, const struct test_case *at, sprat_model *model,
                        uint32_t how, uint32_t chunk)
{
    sprat_session_options options;
    sprat_session *session;
    sprat_model_info info;
    sprat_error error;
    sprat_init(&options, sizeof options);
    sprat_init(&info, sizeof info);
    sprat_init(&error, sizeof error);
    options.numerics = how;
    options.n_chunk = chunk;
    options.n_kept = (uint32_t)at->n_tokens;
    sprat_model_get_info(model, &info);
    if (sprat_session_create(&session, model, &options, &error) != SPRAT_OK) {
        printf("# %s\n", error.message);
        return false;
    }
    size_t positions[MOST_TOKENS], n_floats = at->n_tokens * info.n_vocab;
    float *logits = malloc(n_floats * sizeof *logits);
    for (size_t i = 0; i < at->n_tokens; i++)
        positions[i] = i;
    bool good =
        logits && sprat_session_sync(NULL, session, at->tokens, at->n_tokens) == SPRAT_OK &&
        sprat_session_logits(session, positions, at->n_tokens, logits, n_floats) == SPRAT_OK;
    if (good)
        *hash = hash_floats(0xcbf29ce484222325u, logits, n_floats);
    else
        printf("# %s\n", sprat_session_error(session));
    free(logits);
    sprat_session_destroy(session);
    return good;
}

static bool open_model(sprat_context **context, sprat_model **model, const char *path,
                       const char *set, uint32_t n_threads)
{
    sprat_context_options options;
    sprat_source source;
    sprat_error error;
    sprat_init(&options, sizeof options);
    sprat_init(&source, sizeof source);
    sprat_init(&error, sizeof error);
    options.cpu = set;
    options.n_threads = n_threads;
    source.path = path;
    if (sprat_context_create(context, &options, &error) == SPRAT_OK) {
        if (sprat_model_open(model, *context, &source, NULL, &error) == SPRAT_OK)
            return true;
        sprat_context_destroy(*context);
    }
    printf("# %s: %s\n", path, error.message);
    return false;
}

/* Whether this CPU has a set: its name as a cap is what is taken. */
static bool has_set(const char *name)
{
    sprat_context_options options;
    sprat_context_info info;
    sprat_context *context;
    sprat_init(&options, sizeof options);
    sprat_init(&info, sizeof info);
    options.cpu = name;
    options.n_threads = 1;
    if (sprat_context_create(&context, &options, NULL) != SPRAT_OK ||
        sprat_context_get_info(context, &info) != SPRAT_OK)
        fail("no context", name);
    bool is_same = strcmp(info.cpu, name) == 0;
    sprat_context_destroy(context);
    return is_same;
}

/* Whether a case runs with these threads and this chunk in this set. Covering: each number of
 * threads once, with another chunk in each set and case. */
static bool is_wanted(const struct options *options, const struct test_case *at, size_t set,
                      size_t thread, size_t chunk)
{
    size_t number = (size_t)(at - cases) + set;
    if (options->mode == ALL)
        return true;
    if (chunk != (thread + number + number / N_WAYS) % N_WAYS)
        return false;
    return (options->mode == COVERING && !is_real(at)) || thread == number % N_WAYS;
}

/* A case in a set: every wanted way gives the stored hash. */
static void check_case(const struct options *options, const struct test_case *at, size_t set)
{
    bool good[N_NUMERICS] = {true, true};
    for (size_t t = 0; t < N_WAYS; t++) {
        uint32_t n_threads =
            thread_counts[t] < options->most_threads ? thread_counts[t] : options->most_threads;
        sprat_context *context = NULL;
        sprat_model *model = NULL;
        for (size_t c = 0; c < N_WAYS; c++) {
            if (!is_wanted(options, at, set, t, c))
                continue;
            if (!model && !open_model(&context, &model, at->model, set_names[set], n_threads))
                fail("cannot be opened", at->name);
            for (size_t k = 0; k < N_NUMERICS; k++) {
                uint64_t hash = 0;
                bool is_same =
                    at->has_hash[k] &&
                    hash_logits(&hash, at, model, numerics[k].numerics, chunk_sizes[c]) &&
                    hash == at->hash[k];
                if (!is_same)
                    printf("# %s %s in %s, %" PRIu32 " threads, chunk %" PRIu32 ": %016" PRIx64
                           ", stored %016" PRIx64 "\n",
                           at->name, numerics[k].name, set_names[set], n_threads, chunk_sizes[c],
                           hash, at->hash[k]);
                good[k] = good[k] && is_same;
            }
        }
        sprat_model_close(model);
        sprat_context_destroy(context);
    }
    for (size_t k = 0; k < N_NUMERICS; k++)
        tell(good[k], at->name, numerics[k].name, set_names[set]);
}

static void check_all(const struct options *options)
{
    read_hashes(options);
    size_t n_sets = 0;
    for (size_t s = 0; s < N_SETS; s++) {
        if ((options->set && strcmp(options->set, set_names[s]) != 0) || !has_set(set_names[s]))
            continue;
        n_sets++;
        for (size_t i = 0; i < n_cases; i += options->part)
            check_case(options, &cases[i], s);
    }
    tell(n_sets > 0, "this CPU", "has", options->set ? options->set : "a set");
    printf("1..%d\n", n_told);
}

/* All rows anew. */
static void write_hashes(const struct options *options)
{
    char path[MOST_PATH];
    snprintf(path, sizeof path, "%s/hashes.txt", options->folder);
    FILE *file = fopen(path, "wb");
    if (!file)
        fail("cannot be written", path);
    fprintf(file,
            "# The bits of all logits, written by logit_hashes.c, whose head tells what a row "
            "is.\nnumerics %" PRIu32 "\n",
            sprat_numerics_version());
    for (size_t i = 0; i < n_cases; i++) {
        sprat_context *context;
        sprat_model *model;
        if (!open_model(&context, &model, cases[i].model, "scalar", options->most_threads))
            fail("cannot be opened", cases[i].name);
        for (size_t k = 0; k < N_NUMERICS; k++) {
            uint64_t hash;
            if (!hash_logits(&hash, &cases[i], model, numerics[k].numerics, 64))
                fail("no logits", cases[i].name);
            fprintf(file, "%s %s %zu %016" PRIx64 "\n", cases[i].name, numerics[k].name,
                    cases[i].n_tokens, hash);
        }
        sprat_model_close(model);
        sprat_context_destroy(context);
    }
    if (fclose(file) != 0)
        fail("cannot be written", path);
}

static bool read_options(struct options *options, int argc, char **argv)
{
    options->most_threads = 7;
    options->part = 1;
    options->data = getenv("SPRAT_TEST_DATA");
    options->model = getenv("SPRAT_TEST_MODEL");
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        const char **text = strcmp(word, "--data") == 0    ? &options->data
                            : strcmp(word, "--model") == 0 ? &options->model
                            : strcmp(word, "--set") == 0   ? &options->set
                                                           : NULL;
        bool *flag = strcmp(word, "--real") == 0      ? &options->no_small
                     : strcmp(word, "--no-real") == 0 ? &options->no_real
                     : strcmp(word, "--write") == 0   ? &options->write
                                                      : NULL;
        if (flag)
            *flag = true;
        else if (strcmp(word, "--few") == 0)
            options->mode = FEW;
        else if (strcmp(word, "--all") == 0)
            options->mode = ALL;
        else if (text && value && argv[++i])
            *text = value;
        else if (strcmp(word, "--threads") == 0 && value)
            options->most_threads = (uint32_t)strtoul(argv[++i], NULL, 10);
        else if (strcmp(word, "--part") == 0 && value)
            options->part = (uint32_t)strtoul(argv[++i], NULL, 10);
        else if (*word != '-' && !options->folder)
            options->folder = word;
        else
            return false;
    }
    if (options->write &&
        (!options->data || !options->model || options->no_small || options->no_real))
        return false; /* the file is of one order, so all models must be here */
    return options->folder && options->most_threads > 0 && options->part > 0 &&
           (options->model || !options->no_small);
}

int main(int argc, char **argv)
{
    struct options options = {0};
    if (!read_options(&options, argc, argv)) {
        fputs(
            "usage: logit_hashes [--data FOLDER] [--model FILE] [--real | --no-real] [--set NAME] "
            "[--threads N] [--part N] [--few | --all | --write] test/golden\n",
            stderr);
        return EXIT_FAILURE;
    }
    if (!options.no_small)
        find_cases(options.folder, "models");
    if (!options.no_small && options.data)
        find_cases(options.data, "golden");
    if (!options.no_real && options.model)
        find_real_case(options.folder, options.model);
    if (options.write)
        write_hashes(&options);
    else
        check_all(&options);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
