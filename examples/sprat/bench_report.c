/* What was measured, as a table for people or as JSON for programs (doc/performance.md names the
 * keys). Writes nothing before all of it is there. */
#include "bench.h"

#include <stdarg.h>
#include <string.h>

const char *bench_what_name(enum bench_what what)
{
    return what == BENCH_PREFILL ? "prefill" : "decode";
}

static double per_second(const struct bench_run *run, double amount)
{
    return run->tokens ? amount / run->tokens * run->tok_s : 0;
}

double bench_read_rate(const struct bench_run *run)
{
    return per_second(run, run->bytes);
}

double bench_int8_rate(const struct bench_run *run)
{
    return per_second(run, run->operations);
}

double bench_share(const struct bench_run *run)
{
    double limit = run->what == BENCH_PREFILL ? run->limits.int8_rate : run->limits.read_rate;
    double rate = run->what == BENCH_PREFILL ? bench_int8_rate(run) : bench_read_rate(run);
    return limit > 0 ? rate / limit : 0;
}

bool bench_add(struct bytes *b, const char *format, ...)
{
    char text[1024];
    va_list list;
    va_start(list, format);
    int n = vsnprintf(text, sizeof text, format, list);
    va_end(list);
    return n >= 0 && (size_t)n < sizeof text && bytes_add(b, text, (size_t)n);
}

bool bench_add_string(struct bytes *b, const char *text)
{
    bool good = bytes_add(b, "\"", 1);
    for (const char *c = text; *c != '\0' && good; c++) {
        unsigned char byte = (unsigned char)*c;
        if (byte < 32 || byte == '"' || byte == '\\')
            good = bench_add(b, "\\u%04x", byte);
        else
            good = bytes_add(b, byte < 127 ? c : "?", 1);
    }
    return good && bytes_add(b, "\"", 1);
}

static int write_out(struct bytes *b, bool good)
{
    int bad = good ? out_write(b->data, b->len) || out_end() : fail("no memory for the report");
    bytes_end(b);
    return bad;
}

/* ---- the table ------------------------------------------------------------------------------- */

static bool add_head(struct bytes *b, const struct bench *bench)
{
    const sprat_model_info *info = &bench->loaded.info;
    char size[32], shown[160], types[160];
    bool good = bench_add(b, "model    %s, %s, %.2f G parameters, %s (%s)\n", info->architecture,
                          printable(shown, sizeof shown, info->name, strlen(info->name)),
                          (double)info->n_parameters / 1e9, size_text(size, info->file_bytes),
                          printable(types, sizeof types, info->types, strlen(info->types)));
    good = good && bench_add(b, "how      sprat %s, %s, numerics %s, keys and values %s\n",
                             sprat_version_text(), bench->cpu, bench->work.int8 ? "int8" : "f32",
                             bench->work.kv_f32 ? "f32" : "f16");
    for (uint32_t i = 0; i < bench->threads.n && good; i++)
        good = bench_add(b, "machine  %u thread%s: reads %.1f GB/s, int8 %.3f Tops (%s)\n",
                         bench->threads.values[i], bench->threads.values[i] == 1 ? "" : "s",
                         bench->machine[i].read_rate / 1e9, bench->machine[i].int8_rate / 1e12,
                         probe_instruction(bench->probe));
    return good;
}

static bool add_comparison(struct bytes *b, const struct bench_run *run,
                           const struct bench_list *list)
{
    const struct bench_earlier *then = bench_find(list, run);
    if (!then)
        return bench_add(b, "   not measured then");
    return bench_add(b, "   %5.2fx (%.2f-%.2f), share %.0f %% then", run->tok_s / then->tok_s,
                     run->low / then->high, run->high / then->low, 100 * then->share);
}

int bench_table(const struct bench *bench, const struct bench_list *list)
{
    struct bytes b = {0};
    bool good = add_head(&b, bench);
    good = good && bench_add(&b, "\n%-8s %6s %6s %7s %5s %9s %21s %7s %7s %6s  %s\n", "what",
                             "tokens", "depth", "threads", "chunk", "tok/s", "slowest-fastest",
                             "GB/s", "Tops", "busy", "share of limit");
    for (size_t i = 0; i < bench->n_runs && good; i++) {
        const struct bench_run *run = &bench->runs[i];
        char spread[48];
        (void)snprintf(spread, sizeof spread, "%.2f-%.2f", run->low, run->high);
        good = bench_add(&b, "%-8s %6u %6u %7u %5u %9.2f %21s %7.2f %7.3f %4.0f %%  %5.1f %% %s",
                         bench_what_name(run->what), run->tokens, run->depth, run->threads,
                         run->chunk, run->tok_s, spread, bench_read_rate(run) / 1e9,
                         bench_int8_rate(run) / 1e12, 100 * run->busy, 100 * bench_share(run),
                         run->what == BENCH_PREFILL ? "of int8" : "of read") &&
               (!list || add_comparison(&b, run, list)) && bytes_add(&b, "\n", 1);
    }
    good = good && bench_add(&b,
                             "\nThe median of %u. A step ends with the logits and the likeliest "
                             "token; GB/s counts weights, keys and values.\n",
                             bench->options.repeats);
    return write_out(&b, good);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

/* The place of the most threads. */
static size_t most_threads(const struct bench *bench)
{
    size_t most = 0;
    for (uint32_t i = 1; i < bench->threads.n; i++)
        if (bench->threads.values[i] > bench->threads.values[most])
            most = i;
    return most;
}

static bool json_machine(struct bytes *b, const struct bench *bench)
{
    size_t most = most_threads(bench);
    bool good =
        bench_add(b,
                  "  \"machine\": {\"read_gbs\": %.3f, \"int8_tops\": %.5f, "
                  "\"int8_instruction\": \"%s\", \"int8_set\": \"%s\", "
                  "\"buffer_bytes\": %llu, \"probes\": [",
                  bench->machine[most].read_rate / 1e9, bench->machine[most].int8_rate / 1e12,
                  probe_instruction(bench->probe), probe_set(bench->probe),
                  (unsigned long long)probe_buffer_bytes(bench->probe));
    for (uint32_t i = 0; i < bench->threads.n && good; i++)
        good = bench_add(b, "%s{\"threads\": %u, \"read_gbs\": %.3f, \"int8_tops\": %.5f}",
                         i ? ", " : "", bench->threads.values[i], bench->machine[i].read_rate / 1e9,
                         bench->machine[i].int8_rate / 1e12);
    return good && bench_add(b, "]},\n");
}

static bool json_model(struct bytes *b, const struct bench *bench)
{
    const sprat_model_info *info = &bench->loaded.info;
    return bench_add(b, "  \"model\": {\"path\": ") &&
           bench_add_string(b, bench->options.arguments[0]) && bench_add(b, ", \"name\": ") &&
           bench_add_string(b, info->name) && bench_add(b, ", \"types\": ") &&
           bench_add_string(b, info->types) &&
           bench_add(b,
                     ", \"architecture\": \"%s\", \"file_bytes\": %llu, \"parameters\": %llu},\n",
                     info->architecture, (unsigned long long)info->file_bytes,
                     (unsigned long long)info->n_parameters);
}

static bool json_run(struct bytes *b, const struct bench *bench, const struct bench_run *run,
                     const struct bench_list *list)
{
    const struct bench_earlier *then = list ? bench_find(list, run) : NULL;
    bool good = bench_add(
        b,
        "    {\"what\": \"%s\", \"tokens\": %u, \"depth\": %u, \"threads\": %u, \"chunk\": %u, "
        "\"cpu\": \"%s\", \"tok_s\": %.5g, \"tok_s_low\": %.5g, \"tok_s_high\": %.5g, "
        "\"gbs\": %.5g, \"tops\": %.5g, \"share\": %.4f, \"read_gbs\": %.5g, "
        "\"int8_tops\": %.5g, \"operations\": %.6g, \"bytes\": %.6g, \"busy\": %.3f",
        bench_what_name(run->what), run->tokens, run->depth, run->threads, run->chunk, bench->cpu,
        run->tok_s, run->low, run->high, bench_read_rate(run) / 1e9, bench_int8_rate(run) / 1e12,
        bench_share(run), run->limits.read_rate / 1e9, run->limits.int8_rate / 1e12,
        run->operations, run->bytes, run->busy);
    if (good && run->what == BENCH_DECODE)
        good = bench_add(b, ", \"sample_ms\": %.4f", 1e3 * run->sample_seconds);
    if (good && then)
        good = bench_add(b,
                         ", \"ratio\": %.4f, \"ratio_low\": %.4f, \"ratio_high\": %.4f, "
                         "\"share_then\": %.4f",
                         run->tok_s / then->tok_s, run->low / then->high, run->high / then->low,
                         then->share);
    return good && bench_add(b, "}");
}

int bench_json(const struct bench *bench, const struct bench_list *list)
{
    struct bytes b = {0};
    bool good = bench_add(&b,
                          "{\n  \"sprat\": \"%s\",\n  \"numerics\": \"%s\",\n  \"kv\": \"%s\",\n"
                          "  \"repeats\": %u,\n",
                          sprat_version_text(), bench->work.int8 ? "int8" : "f32",
                          bench->work.kv_f32 ? "f32" : "f16", bench->options.repeats) &&
                json_model(&b, bench) && json_machine(&b, bench) &&
                bench_add(&b, "  \"runs\": [\n");
    for (size_t i = 0; i < bench->n_runs && good; i++)
        good = json_run(&b, bench, &bench->runs[i], list) &&
               bench_add(&b, i + 1 < bench->n_runs ? ",\n" : "\n");
    good = good && bench_add(&b, "  ]\n}\n");
    return write_out(&b, good);
}
