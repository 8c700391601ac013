/* sprat bench --kernels: every kernel of every set of instructions, one a line, or as JSON. */
#include "bench.h"

#include <string.h>

struct figure_list {
    struct bytes text;
    bool json, good;
    size_t n;
};

static int list_take(void *user, const struct kernel_figure *f)
{
    struct figure_list *list = user;
    double rate = f->rate / 1e9;
    const char *unit = f->is_bytes ? "GB/s" : "Gop/s";
    if (list->json)
        list->good =
            bench_add(&list->text,
                      "%s\n    {\"kernel\": \"%s\", \"set\": \"%s\", \"what\": \"%s\", "
                      "\"rate\": %.5g, \"unit\": \"%s\", \"share\": %.4f}",
                      list->n ? "," : "", f->kernel, f->set, f->what, rate, unit, f->share);
    else
        list->good = bench_add(&list->text, "%-20s %-11s %-7s %9.2f %-6s", f->kernel, f->set,
                               f->what, rate, unit) &&
                     (f->share > 0 ? bench_add(&list->text, "%6.1f %%\n", 100 * f->share)
                                   : bench_add(&list->text, "     -\n"));
    list->n++;
    /* A table is long in the making: its lines come one by one. */
    if (list->good && !list->json) {
        int bad = out_write(list->text.data, list->text.len) || out_end();
        list->text.len = 0;
        return bad;
    }
    return list->good ? 0 : fail("no memory for the list");
}

int bench_kernels(const struct options *o)
{
    static const char head[] =
        "kernel               set         of           rate        share of probe\n";
    struct figure_list list = {.json = o->given & OPT_BIT(OPT_JSON), .good = true};
    struct limits limits = {0, 0};
    struct probe *probe = probe_create(o->cpu, o->buffer);
    if (!probe)
        return fail("no set of instructions named %s, or no memory to probe with",
                    o->cpu ? o->cpu : "so");
    int bad = probe_limits(probe, 1, &limits) ? 0 : fail("a thread could not be started");
    if (!bad && list.json)
        bad = bench_add(&list.text,
                        "{\n  \"sprat\": \"%s\",\n  \"machine\": {\"read_gbs\": %.3f, "
                        "\"int8_tops\": %.5f, \"int8_instruction\": \"%s\", \"int8_set\": "
                        "\"%s\"},\n  \"kernels\": [",
                        sprat_version_text(), limits.read_rate / 1e9, limits.int8_rate / 1e12,
                        probe_instruction(probe), probe_set(probe))
                  ? 0
                  : fail("no memory for the list");
    else if (!bad)
        bad = out_write(head, sizeof head - 1);
    int ended = bad ? 0 : kernel_figures(probe, o->repeats, list_take, &list);
    if (ended < 0)
        bad = fail("no memory to measure kernels with");
    else
        bad = bad || ended;
    if (!bad && list.json)
        bad = bench_add(&list.text, "\n  ]\n}\n") ? out_write(list.text.data, list.text.len)
                                                  : fail("no memory for the list");
    bad = bad || out_end();
    bytes_end(&list.text);
    probe_destroy(probe);
    return bad;
}
