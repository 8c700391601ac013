/* sprat plan: what memory a model takes and how fast it will be on this machine, of a file or of a
 * shape that is known by name, before anything is downloaded. Memory is what the library plans with
 * the model's own directory; speed is that of some of its layers, computed here and now
 * (examples/bench/forecast.c). Owns what is asked and how it is told. */
#include "bench.h"

#include <string.h>
#include <unistd.h>

enum { PLAN_PREFILL = 512, PLAN_DECODE = 64, PLAN_CTX = 4096 };

static const struct command_form plan_form = {
    "plan SHAPE|MODEL",
    "The memory a model takes with a session of --ctx tokens (4096 if not given), and the tokens "
    "a\n"
    "second to expect on this machine, from some of its layers with weights made up.\n"
    "SHAPE: qwen-1.5b, qwen-7b, qwen-14b, qwen-32b, llama-8b, llama-70b (the distills of R1),\n"
    "v2-lite, v2, v3 or r1; nothing of it need be there.\n"
    "--type: q4_k_m, q5_k_m, or one type for all, such as q8_0 or q4_0.\n",
    OPTS_MACHINE | OPTS_SESSION | OPT_BIT(OPT_TYPE) | OPT_BIT(OPT_DEPTH) | OPT_BIT(OPT_PREFILL) |
        OPT_BIT(OPT_DECODE) | OPT_BIT(OPT_BUFFER) | OPT_BIT(OPT_MEMORY) | OPT_BIT(OPT_JSON),
    1, 1};

/* What is told. */
struct planned {
    struct options options;
    struct loaded loaded;
    struct outline *outline;
    struct stage *stage; /* NULL: the file is there */
    const char *title, *cpu;
    uint32_t n_ctx, n_threads;
    sprat_plan plan;
    uint64_t weight_bytes; /* of the file, mapped */
    uint64_t own_bytes;    /* of the context */
    struct limits limits;
    struct work work;
    struct forecast forecast;
    uint64_t ram_bytes; /* of this machine; 0: not told */
};

/* ---- asking ---------------------------------------------------------------------------------- */

/* What a container may take; 0: nobody says. */
static uint64_t container_bytes(void)
{
    char text[32] = "";
    uint64_t n = 0;
    FILE *file = fopen("/sys/fs/cgroup/memory.max", "r");
    if (!file)
        return 0;
    bool good = fgets(text, sizeof text, file) != NULL;
    (void)fclose(file);
    return good && parse_number(&n, text, strcspn(text, "\n"), 1, UINT64_MAX) ? n : 0;
}

static uint64_t machine_bytes(void)
{
    uint64_t all = 0, most = container_bytes();
#if defined(_SC_PHYS_PAGES)
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    if (pages > 0 && page > 0)
        all = (uint64_t)pages * (uint64_t)page;
#endif
    return most > 0 && (most < all || all == 0) ? most : all;
}

static int open_shape(struct planned *p, sprat_source *source)
{
    const struct options *o = &p->options;
    const char *type = o->type ? o->type : "q4_k_m";
    sprat_context_options options;
    sprat_error error;
    sprat_init(&options, sizeof options);
    sprat_init(&error, sizeof error);
    sprat_init(&p->loaded.info, sizeof p->loaded.info);
    options.memory_budget = o->budget;
    options.cpu = o->cpu;
    options.n_threads = o->threads;
    if (!shape_has_type(type))
        return fail("--type: \"%s\" is no type of weights; q4_k_m, q8_0 and q4_0 are some", type);
    p->outline = outline_of_shape(o->arguments[0], type);
    p->stage = p->outline ? stage_of(p->outline) : NULL;
    if (!p->stage)
        return fail("no address space for a model of that shape");
    stage_source(p->stage, source);
    sprat_status status = sprat_context_create(&p->loaded.context, &options, &error);
    if (status == SPRAT_OK)
        status = sprat_model_open(&p->loaded.model, p->loaded.context, source, NULL, &error);
    if (status == SPRAT_OK)
        status = sprat_model_get_info(p->loaded.model, &p->loaded.info);
    return status == SPRAT_OK ? 0 : fail_status(status, error.message);
}

static int no_such(const char *name)
{
    char shown[96], names[256] = "";
    size_t len = 0;
    for (size_t i = 0; shape_name(i) && len < sizeof names; i++)
        len +=
            (size_t)snprintf(names + len, sizeof names - len, "%s%s", i ? ", " : "", shape_name(i));
    return fail("\"%s\" is neither a file nor one of the shapes %s",
                printable(shown, sizeof shown, name, strlen(name)), names);
}

static int open_file(struct planned *p, sprat_source *source)
{
    const struct options *o = &p->options;
    if (access(o->arguments[0], F_OK) != 0)
        return no_such(o->arguments[0]);
    if (o->type)
        return fail("--type is for shapes by name; a file has its types");
    if (load_model(&p->loaded, o, o->arguments[0]))
        return 1;
    if (!p->loaded.info.has_weights)
        return fail("%s holds a vocabulary only", o->arguments[0]);
    sprat_init(source, sizeof *source);
    source->kind = SPRAT_SOURCE_PATH;
    source->path = o->arguments[0];
    p->outline = outline_of_model(p->loaded.model);
    return p->outline ? 0 : fail("no memory for the model's directory");
}

/* Numbers that options leave open, and those of the context. */
static int plan_defaults(struct planned *p)
{
    struct options *o = &p->options;
    sprat_context_info info;
    sprat_init(&info, sizeof info);
    sprat_status status = sprat_context_get_info(p->loaded.context, &info);
    if (status != SPRAT_OK)
        return fail_status(status, NULL);
    p->cpu = info.cpu;
    p->n_threads = info.n_threads;
    uint32_t trained = p->loaded.info.n_ctx_train;
    uint32_t room = trained > o->depth ? trained - o->depth : 1;
    if (!(o->given & OPT_BIT(OPT_PREFILL)))
        o->prefill = room < PLAN_PREFILL ? room : PLAN_PREFILL;
    if (!(o->given & OPT_BIT(OPT_DECODE)))
        o->decode = room < PLAN_DECODE ? room : PLAN_DECODE;
    if (o->prefill == 0 || o->decode == 0)
        return fail("--prefill and --decode: expected at least 1");
    uint64_t most = (uint64_t)o->depth + (o->prefill > o->decode ? o->prefill : o->decode);
    if (most > trained)
        return fail("%llu tokens are asked for, the model holds %u", (unsigned long long)most,
                    trained);
    p->n_ctx = o->ctx ? o->ctx : PLAN_CTX < trained ? PLAN_CTX : trained;
    return 0;
}

static int plan_memory(struct planned *p, const sprat_source *source,
                       const sprat_session_options *options)
{
    sprat_error error;
    sprat_init(&error, sizeof error);
    sprat_init(&p->plan, sizeof p->plan);
    sprat_status status =
        sprat_model_plan(&p->plan, p->loaded.context, source, NULL, options, &error);
    if (status != SPRAT_OK)
        return fail_status(status, error.message);
    p->weight_bytes = p->loaded.info.file_bytes;
    uint64_t told = p->plan.model_bytes + p->plan.session_bytes;
    p->own_bytes = p->plan.peak_bytes > told ? p->plan.peak_bytes - told : 0;
    p->ram_bytes = machine_bytes();
    return work_of_model(&p->work, p->loaded.model, options) ? 0 : fail("no such session");
}

static int plan_speed(struct planned *p, const sprat_session_options *options)
{
    const struct options *o = &p->options;
    sprat_error error;
    sprat_init(&error, sizeof error);
    struct probe *probe = probe_create(o->cpu, o->buffer);
    if (!probe)
        return fail("no memory to probe the machine with");
    bool good = probe_limits(probe, p->n_threads, &p->limits);
    struct forecast_ask ask = {options, o->depth, o->prefill, o->decode,
                               2 * probe_buffer_bytes(probe)};
    probe_destroy(probe);
    if (!good)
        return fail("a thread to probe the machine with could not be started");
    sprat_status status = forecast_make(&p->forecast, p->outline, p->loaded.context, &ask, &error);
    return status == SPRAT_OK ? 0 : fail_status(status, error.message);
}

/* ---- telling --------------------------------------------------------------------------------- */

static double plan_share(const struct planned *p, enum bench_what what)
{
    const struct options *o = &p->options;
    struct traffic traffic = what == BENCH_PREFILL ? work_prefill(&p->work, o->depth, o->prefill)
                                                   : work_decode(&p->work, o->depth, o->decode);
    double seconds =
        what == BENCH_PREFILL ? p->forecast.prefill_seconds : p->forecast.decode_seconds;
    double limit = what == BENCH_PREFILL ? p->limits.int8_rate : p->limits.read_rate;
    double done = what == BENCH_PREFILL ? traffic.operations : traffic.bytes;
    return limit > 0 && seconds > 0 ? done / seconds / limit : 0;
}

/* Bytes of weights that one token reads, and how many of them the disk has to give, if memory that
 * nothing else needs holds as many of the weights as it can. */
static double token_bytes(const struct planned *p)
{
    struct traffic traffic = work_decode(&p->work, 0, 1);
    return traffic.bytes - p->work.kv_bytes;
}

static double disk_bytes(const struct planned *p)
{
    double all = (double)p->weight_bytes, room = (double)p->ram_bytes - (double)p->plan.peak_bytes;
    room = room < 0 ? 0 : room;
    if (p->ram_bytes == 0 || room >= all)
        return 0;
    /* Weights that every token reads go round: what does not fit has left before it comes again. */
    bool goes_round = p->work.expert_bytes <= 0;
    return token_bytes(p) * (goes_round ? 1 : 1 - room / all);
}

static bool add_size_line(struct bytes *b, const char *what, uint64_t n_bytes, const char *note)
{
    char size[32];
    return bench_add(b, "  %-24s %12s%s%s\n", what, size_text(size, n_bytes), note[0] ? "  " : "",
                     note);
}

static bool add_memory(struct bytes *b, const struct planned *p)
{
    char note[96], size[32];
    const sprat_plan *plan = &p->plan;
    uint64_t scratch = plan->session_bytes - plan->kv_bytes;
    (void)snprintf(note, sizeof note, "at %u tokens, %llu bytes each", p->n_ctx,
                   (unsigned long long)plan->kv_bytes_per_token);
    bool good = bench_add(b, "memory\n") &&
                add_size_line(b, "weights", p->weight_bytes, "mapped from the file") &&
                add_size_line(b, "keys and values", plan->kv_bytes, note) &&
                add_size_line(b, "scratch", scratch, "activations, logits, tokens") &&
                add_size_line(b, "tokenizer, directory", plan->model_bytes, "") &&
                add_size_line(b, "context", p->own_bytes, "threads; more while opening") &&
                add_size_line(b, "together", p->weight_bytes + plan->peak_bytes, "");
    if (!good || p->ram_bytes == 0)
        return good;
    double disk = disk_bytes(p);
    if (disk <= 0)
        return add_size_line(b, "this machine", p->ram_bytes, "it fits");
    (void)snprintf(note, sizeof note, "it does not fit");
    return add_size_line(b, "this machine", p->ram_bytes, note) &&
           bench_add(b,
                     "  About %s of what a token reads come from the disk then: at most %.3g "
                     "tok/s for each\n  GB/s the disk gives. The speed below is that of a machine "
                     "with memory enough.\n",
                     size_text(size, (uint64_t)disk), 1e9 / disk);
}

static bool add_speed(struct bytes *b, const struct planned *p)
{
    const struct options *o = &p->options;
    const struct forecast *f = &p->forecast;
    return bench_add(b,
                     "\nspeed to expect, %u thread%s, %s; %.1f GB/s and %.2f int8 Tops seen\n"
                     "  prefill %5u at %5u %10.2f tok/s  %5.1f %% of int8\n"
                     "  decode  %5u at %5u %10.2f tok/s  %5.1f %% of read\n"
                     "From %u of %u layers, computed with weights made up.\n",
                     p->n_threads, p->n_threads == 1 ? "" : "s", p->cpu, p->limits.read_rate / 1e9,
                     p->limits.int8_rate / 1e12, o->prefill, o->depth,
                     o->prefill / f->prefill_seconds, 100 * plan_share(p, BENCH_PREFILL), o->decode,
                     o->depth, o->decode / f->decode_seconds, 100 * plan_share(p, BENCH_DECODE),
                     f->n_layers, p->loaded.info.n_layers);
}

static bool plan_text(struct bytes *b, const struct planned *p)
{
    const sprat_model_info *info = &p->loaded.info;
    char size[32], title[160];
    return bench_add(b, "%s, %s: %.2f billion weights, %u layers, %s\n",
                     printable(title, sizeof title, p->title, strlen(p->title)), info->architecture,
                     (double)info->n_parameters / 1e9, info->n_layers, info->types) &&
           bench_add(b, "a token reads %s of weights\n\n",
                     size_text(size, (uint64_t)token_bytes(p))) &&
           add_memory(b, p) && (p->forecast.n_layers == 0 || add_speed(b, p));
}

static bool plan_json_run(struct bytes *b, const struct planned *p, enum bench_what what)
{
    const struct options *o = &p->options;
    bool is_prefill = what == BENCH_PREFILL;
    uint32_t tokens = is_prefill ? o->prefill : o->decode;
    double seconds = is_prefill ? p->forecast.prefill_seconds : p->forecast.decode_seconds;
    return bench_add(b,
                     "    {\"what\": \"%s\", \"tokens\": %u, \"depth\": %u, \"threads\": %u, "
                     "\"cpu\": \"%s\", \"tok_s\": %.5g, \"share\": %.4f}%s\n",
                     bench_what_name(what), tokens, o->depth, p->n_threads, p->cpu,
                     tokens / seconds, plan_share(p, what), is_prefill ? "," : "");
}

static bool plan_json_speed(struct bytes *b, const struct planned *p)
{
    if (p->forecast.n_layers == 0)
        return bench_add(b, "\n");
    return bench_add(b,
                     ",\n  \"machine\": {\"read_gbs\": %.3f, \"int8_tops\": %.5f},\n"
                     "  \"layers_computed\": %u,\n  \"runs\": [\n",
                     p->limits.read_rate / 1e9, p->limits.int8_rate / 1e12, p->forecast.n_layers) &&
           plan_json_run(b, p, BENCH_PREFILL) && plan_json_run(b, p, BENCH_DECODE) &&
           bench_add(b, "  ]\n");
}

static bool plan_json(struct bytes *b, const struct planned *p)
{
    const sprat_model_info *info = &p->loaded.info;
    const sprat_plan *plan = &p->plan;
    double disk = disk_bytes(p);
    return bench_add(b,
                     "{\n  \"sprat\": \"%s\",\n  \"model\": {\"name\": ", sprat_version_text()) &&
           bench_add_string(b, p->title) && bench_add(b, ", \"types\": ") &&
           bench_add_string(b, info->types) &&
           bench_add(b,
                     ", \"architecture\": \"%s\", \"parameters\": %llu, \"layers\": %u, "
                     "\"token_bytes\": %.0f},\n",
                     info->architecture, (unsigned long long)info->n_parameters, info->n_layers,
                     token_bytes(p)) &&
           bench_add(b,
                     "  \"memory\": {\"ctx\": %u, \"weights\": %llu, \"kv\": %llu, "
                     "\"kv_per_token\": %llu, \"scratch\": %llu, \"tokenizer\": %llu, "
                     "\"context\": %llu, \"all\": %llu, \"machine\": %llu, \"fits\": %s, "
                     "\"disk_bytes_per_token\": %.0f}",
                     p->n_ctx, (unsigned long long)p->weight_bytes,
                     (unsigned long long)plan->kv_bytes,
                     (unsigned long long)plan->kv_bytes_per_token,
                     (unsigned long long)(plan->session_bytes - plan->kv_bytes),
                     (unsigned long long)plan->model_bytes, (unsigned long long)p->own_bytes,
                     (unsigned long long)(p->weight_bytes + plan->peak_bytes),
                     (unsigned long long)p->ram_bytes, disk > 0 ? "false" : "true", disk) &&
           plan_json_speed(b, p) && bench_add(b, "}\n");
}

static int plan_tell(const struct planned *p)
{
    struct bytes b = {0};
    bool good = p->options.given & OPT_BIT(OPT_JSON) ? plan_json(&b, p) : plan_text(&b, p);
    int bad = good ? out_write(b.data, b.len) || out_end() : fail("no memory for the report");
    bytes_end(&b);
    return bad;
}

int plan_main(int argc, char **argv)
{
    struct planned p = {0};
    sprat_source source;
    sprat_session_options options;
    int parsed = options_parse(&p.options, &plan_form, argc, argv);
    if (parsed != OPTIONS_OK)
        return parsed == OPTIONS_HELP ? 0 : 1;
    p.title = shape_title(p.options.arguments[0]);
    int bad = p.title ? open_shape(&p, &source) : open_file(&p, &source);
    if (!bad && !p.title)
        p.title = p.loaded.info.name;
    bad = bad || plan_defaults(&p);
    session_options(&options, &p.options, p.n_ctx);
    bad = bad || plan_memory(&p, &source, &options) ||
          (!(p.options.given & OPT_BIT(OPT_MEMORY)) && plan_speed(&p, &options)) || plan_tell(&p);
    outline_destroy(p.outline);
    loaded_end(&p.loaded);
    stage_destroy(p.stage);
    return bad;
}
