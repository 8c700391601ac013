/* sprat bench: tokens a second, and what share of the machine's limits that is. Owns the order in
 * which things are measured: what is to be compared takes turns, and the limits are measured again
 * beside every repetition, so that a machine whose speed changes changes all figures alike. Weights
 * and tokens' ids do not matter to the speed; the prompts are random. */
#define _POSIX_C_SOURCE 200809L
#include "bench.h"
#include "term.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BENCH_PREFILL_TOKENS = 512, BENCH_DECODE_TOKENS = 64, BENCH_REPEATS = 5 };

static const struct command_form bench_form = {
    "bench MODEL",
    "Tokens a second of prompts (prefill) and of answers (decode), with the bytes read and the\n"
    "operations done a second, beside the most this machine does in the same run.\n"
    "sprat bench --kernels needs no model.\n",
    OPT_BIT(OPT_THREADS_LIST) | OPT_BIT(OPT_CHUNK_LIST) | OPT_BIT(OPT_DEPTH_LIST) |
        OPT_BIT(OPT_PREFILL) | OPT_BIT(OPT_DECODE) | OPT_BIT(OPT_REPEATS) | OPT_BIT(OPT_CPU) |
        OPT_BIT(OPT_NUMERICS) | OPT_BIT(OPT_KV) | OPT_BIT(OPT_BUDGET) | OPT_BIT(OPT_JSON) |
        OPT_BIT(OPT_COMPARE) | OPT_BIT(OPT_TOLERANCE) | OPT_BIT(OPT_SVG) | OPT_BIT(OPT_BUFFER) |
        OPT_BIT(OPT_KERNELS),
    0, 1};

/* One session with its chunk, and what is measured with it. */
struct bench_session {
    struct bench *bench;
    sprat_session *session;
    struct work work;
    sprat_token *tokens; /* n_tokens random ones */
    size_t n_tokens;
    float *logits;
};

static int session_failed(const struct bench_session *s, sprat_status status)
{
    return fail_status(status, sprat_session_error(s->session));
}

/* ---- one measurement ------------------------------------------------------------------------- */

static sprat_token likeliest(const float *logits, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (logits[i] > logits[best])
            best = i;
    return (sprat_token)best;
}

/* The likeliest token after those held. */
static sprat_status choose(struct bench_session *s, sprat_token *token)
{
    size_t n_vocab = s->bench->loaded.info.n_vocab, n = 0;
    sprat_status status = sprat_session_tokens(&n, s->session, NULL, 0);
    size_t last = n - 1;
    if (status == SPRAT_OK || status == SPRAT_BUFFER_TOO_SMALL)
        status = sprat_session_logits(s->session, &last, 1, s->logits, n_vocab);
    if (status == SPRAT_OK)
        *token = likeliest(s->logits, n_vocab);
    return status;
}

/* Seconds of n tokens as a prompt, with the choice of the token after it. */
static sprat_status time_prefill(struct bench_session *s, size_t n, double *seconds)
{
    sprat_token token = 0;
    double begin = now_seconds();
    sprat_status status = sprat_session_append(s->session, s->tokens, n);
    if (status == SPRAT_OK)
        status = choose(s, &token);
    *seconds = now_seconds() - begin;
    return status;
}

/* Seconds of n steps: add a token, choose the next. */
static sprat_status time_decode(struct bench_session *s, size_t n, double *seconds)
{
    sprat_token token = s->tokens[n % s->n_tokens];
    sprat_status status = SPRAT_OK;
    double begin = now_seconds();
    for (size_t i = 0; i < n && status == SPRAT_OK; i++) {
        status = sprat_session_accept(s->session, token);
        if (status == SPRAT_OK)
            status = choose(s, &token);
    }
    *seconds = now_seconds() - begin;
    return status;
}

/* What the library's own choice takes beside the logits: they are kept from one call to the next.
 */
static sprat_status time_sample(struct bench_session *s, double *seconds)
{
    sprat_sample sample;
    double best = 0;
    sprat_init(&sample, sizeof sample);
    sprat_status status = sprat_session_sample(s->session, &sample);
    for (int i = 0; i < 5 && status == SPRAT_OK; i++) {
        double begin = now_seconds();
        status = sprat_session_sample(s->session, &sample);
        double taken = now_seconds() - begin;
        best = i == 0 || taken < best ? taken : best;
    }
    *seconds = best;
    return status;
}

/* ---- repetitions ----------------------------------------------------------------------------- */

/* One line to come: its repetitions so far. */
struct series {
    struct bench_run run;
    size_t which; /* of the thread counts */
    double *seconds;
    double processor; /* seconds of all threads, in all repetitions */
};

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void raise_limits(struct limits *to, const struct limits *from)
{
    to->read_rate = from->read_rate > to->read_rate ? from->read_rate : to->read_rate;
    to->int8_rate = from->int8_rate > to->int8_rate ? from->int8_rate : to->int8_rate;
}

/* What the whole process has computed; 0 where the system does not tell. */
static double processor_seconds(void)
{
    struct timespec t;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) != 0)
        return 0;
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static sprat_status run_once(struct bench_session *s, struct bench_run *run, double *seconds)
{
    sprat_status status = sprat_session_rewind(s->session, run->depth);
    if (status != SPRAT_OK)
        return status;
    if (run->what == BENCH_PREFILL)
        return time_prefill(s, run->tokens, seconds);
    return time_decode(s, run->tokens, seconds);
}

static int series_turn(struct bench_session *s, struct series *line, uint32_t turn)
{
    struct bench *bench = s->bench;
    sprat_status status = sprat_context_set_threads(bench->loaded.context, line->run.threads);
    if (status != SPRAT_OK)
        return fail_status(status, NULL);
    if (turn == 0) { /* to warm up; not counted */
        status = run_once(s, &line->run, &line->seconds[0]);
        if (status != SPRAT_OK)
            return session_failed(s, status);
    }
    if (!probe_limits(bench->probe, line->run.threads, &line->run.limits))
        return fail("a thread to probe the machine with could not be started");
    double begin = processor_seconds();
    status = run_once(s, &line->run, &line->seconds[turn]);
    line->processor += processor_seconds() - begin;
    if (status == SPRAT_OK && line->run.what == BENCH_DECODE)
        status = time_sample(s, &line->run.sample_seconds);
    return status == SPRAT_OK ? 0 : session_failed(s, status);
}

static int series_end(struct bench *bench, struct series *line, uint32_t n)
{
    if (bench->n_runs == BENCH_MAX_RUNS)
        return fail("more than %d figures asked for", BENCH_MAX_RUNS);
    qsort(line->seconds, n, sizeof *line->seconds, compare_doubles);
    double tokens = line->run.tokens, all = 0;
    for (uint32_t i = 0; i < n; i++)
        all += line->seconds[i];
    line->run.busy = line->processor / (all * line->run.threads);
    double middle = (line->seconds[(n - 1) / 2] + line->seconds[n / 2]) / 2;
    line->run.tok_s = tokens / middle;
    line->run.high = tokens / line->seconds[0];
    line->run.low = tokens / line->seconds[n - 1];
    raise_limits(&bench->machine[line->which], &line->run.limits);
    bench->runs[bench->n_runs++] = line->run;
    return 0;
}

/* All thread counts at one depth, in turns. */
static int measure_at(struct bench_session *s, uint32_t depth)
{
    struct bench *bench = s->bench;
    const struct options *o = &bench->options;
    struct series lines[2 * MAX_LISTED];
    double *seconds = calloc(2 * MAX_LISTED * (size_t)o->repeats, sizeof *seconds);
    size_t n = 0;
    int bad = seconds ? 0 : fail("no memory for %u figures", o->repeats);
    for (int what = BENCH_PREFILL; what <= BENCH_DECODE; what++)
        for (uint32_t i = 0; i < bench->threads.n; i++) {
            uint32_t tokens = what == BENCH_PREFILL ? o->prefill : o->decode;
            if (tokens == 0)
                continue;
            struct traffic traffic = what == BENCH_PREFILL ? work_prefill(&s->work, depth, tokens)
                                                           : work_decode(&s->work, depth, tokens);
            lines[n] = (struct series){.which = i, .seconds = seconds + n * o->repeats};
            lines[n++].run = (struct bench_run){.what = (enum bench_what)what,
                                                .tokens = tokens,
                                                .depth = depth,
                                                .threads = bench->threads.values[i],
                                                .chunk = s->work.chunk,
                                                .operations = traffic.operations,
                                                .bytes = traffic.bytes};
        }
    for (uint32_t turn = 0; turn < o->repeats; turn++)
        for (size_t i = 0; i < n && !bad; i++)
            bad = series_turn(s, &lines[i], turn);
    for (size_t i = 0; i < n && !bad; i++)
        bad = series_end(bench, &lines[i], o->repeats);
    free(seconds);
    return bad;
}

/* Every depth, ascending; each goes on from the one before. */
static int measure_session(struct bench_session *s)
{
    const struct number_list *list = &s->bench->options.depth_list;
    uint32_t depths[MAX_LISTED];
    for (uint32_t i = 0; i < list->n; i++) {
        uint32_t at = i;
        for (; at > 0 && depths[at - 1] > list->values[i]; at--)
            depths[at] = depths[at - 1];
        depths[at] = list->values[i];
    }
    for (uint32_t i = 0; i < list->n; i++) {
        uint32_t from = i ? depths[i - 1] : 0;
        sprat_status status = sprat_session_rewind(s->session, from);
        if (status == SPRAT_OK)
            status = sprat_session_append(s->session, s->tokens, depths[i] - from);
        if (status != SPRAT_OK)
            return session_failed(s, status);
        if (measure_at(s, depths[i]))
            return 1;
    }
    return 0;
}

/* ---- sessions -------------------------------------------------------------------------------- */

static int session_start(struct bench_session *s, struct bench *bench, uint32_t chunk)
{
    const struct options *o = &bench->options;
    uint32_t most = 0, n_vocab = bench->loaded.info.n_vocab;
    for (uint32_t i = 0; i < o->depth_list.n; i++)
        most = o->depth_list.values[i] > most ? o->depth_list.values[i] : most;
    uint64_t n_ctx = (uint64_t)most + (o->prefill > o->decode ? o->prefill : o->decode);
    if (n_ctx > bench->loaded.info.n_ctx_train)
        return fail("%llu tokens are asked for, the model holds %u", (unsigned long long)n_ctx,
                    bench->loaded.info.n_ctx_train);
    s->bench = bench;
    s->n_tokens = (size_t)n_ctx;
    s->tokens = calloc(s->n_tokens, sizeof *s->tokens);
    s->logits = calloc(n_vocab, sizeof *s->logits);
    if (!s->tokens || !s->logits)
        return fail("no memory for %zu tokens and a row of logits", s->n_tokens);
    uint64_t state = 1;
    for (size_t i = 0; i < s->n_tokens; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        s->tokens[i] = (sprat_token)((state >> 33) % n_vocab);
    }
    struct options with_chunk = *o;
    with_chunk.chunk = chunk;
    if (load_session(&bench->loaded, &with_chunk, (uint32_t)n_ctx, 0))
        return 1;
    s->session = bench->loaded.session;
    work_of(&s->work, s->session);
    sprat_status status = sprat_session_reserve(s->session, s->n_tokens);
    return status == SPRAT_OK ? 0 : session_failed(s, status);
}

static int measure_chunk(struct bench *bench, uint32_t chunk)
{
    struct bench_session s = {0};
    int bad = session_start(&s, bench, chunk) || measure_session(&s);
    bench->work = s.work;
    term_watch(NULL);
    sprat_session_destroy(bench->loaded.session);
    bench->loaded.session = NULL;
    free(s.tokens);
    free(s.logits);
    return bad;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static int bench_start(struct bench *bench)
{
    struct options *o = &bench->options;
    sprat_context_info info;
    sprat_init(&info, sizeof info);
    o->prefill = o->given & OPT_BIT(OPT_PREFILL) ? o->prefill : BENCH_PREFILL_TOKENS;
    o->decode = o->given & OPT_BIT(OPT_DECODE) ? o->decode : BENCH_DECODE_TOKENS;
    o->repeats = o->repeats ? o->repeats : BENCH_REPEATS;
    o->depth_list.n = o->depth_list.n ? o->depth_list.n : 1;
    o->chunk_list.n = o->chunk_list.n ? o->chunk_list.n : 1;
    if (o->prefill == 0 && o->decode == 0)
        return fail("--prefill 0 and --decode 0 leave nothing to measure");
    if (load_model(&bench->loaded, o, o->arguments[0]))
        return 1;
    if (!bench->loaded.info.has_weights)
        return fail("%s holds a vocabulary only", o->arguments[0]);
    sprat_status status = sprat_context_get_info(bench->loaded.context, &info);
    if (status != SPRAT_OK)
        return fail_status(status, NULL);
    bench->cpu = info.cpu;
    bench->threads = o->thread_list;
    if (bench->threads.n == 0) {
        bench->threads.n = 1;
        bench->threads.values[0] = info.n_threads;
    }
    bench->runs = calloc(BENCH_MAX_RUNS, sizeof *bench->runs);
    bench->probe = probe_create(o->cpu, o->buffer);
    return bench->runs && bench->probe ? 0 : fail("no memory to probe the machine with");
}

static int bench_model(struct bench *bench)
{
    const struct options *o = &bench->options;
    struct bench_list earlier = {0};
    bool json = o->given & OPT_BIT(OPT_JSON);
    int bad = (o->compare && bench_list_read(&earlier, o->compare)) || bench_start(bench);
    for (uint32_t i = 0; i < o->chunk_list.n && !bad; i++)
        bad = measure_chunk(bench, o->chunk_list.values[i]);
    const struct bench_list *list = o->compare ? &earlier : NULL;
    bad = bad || (o->svg && bench_svg(bench, o->svg)) ||
          (json ? bench_json(bench, list) : bench_table(bench, list)) ||
          (o->given & OPT_BIT(OPT_TOLERANCE) && bench_judge(bench, &earlier, (double)o->tolerance));
    bench_list_end(&earlier);
    probe_destroy(bench->probe);
    free(bench->runs);
    loaded_end(&bench->loaded);
    return bad;
}

int bench_main(int argc, char **argv)
{
    struct bench bench = {0};
    struct options *o = &bench.options;
    int parsed = options_parse(o, &bench_form, argc, argv);
    if (parsed != OPTIONS_OK)
        return parsed == OPTIONS_HELP ? 0 : 1;
    bool kernels = o->given & OPT_BIT(OPT_KERNELS);
    if (kernels && o->given & ~(OPT_BIT(OPT_KERNELS) | OPT_BIT(OPT_CPU) | OPT_BIT(OPT_BUFFER) |
                                OPT_BIT(OPT_REPEATS) | OPT_BIT(OPT_JSON)))
        return fail("--kernels goes with --cpu, --buffer, --repeats and --json only");
    if (o->given & OPT_BIT(OPT_TOLERANCE) && !o->compare)
        return fail("--tolerance needs --compare FILE");
    if (kernels)
        return bench_kernels(o);
    if (o->n_arguments == 0)
        return fail("an argument is missing; usage: sprat %s", bench_form.usage);
    return bench_model(&bench);
}
