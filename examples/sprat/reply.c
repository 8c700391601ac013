/* One answer as it comes, its figures, and the choice of sampling: see reply.h. */
#include "reply.h"

#include "term.h"

#include <string.h>

/* What the makers of the models of each dialect advise; a name stands for all that begin with it.
 */
struct advice {
    const char *dialect;
    float temp, top_p;
    uint32_t top_k;
};

static const struct advice advices[] = {
    {"chatml-smollm2", 0.2F, 0.9F, 0}, {"qwen2.5", 0.7F, 0.8F, 20},
    {"qwen3", 0.6F, 0.95F, 20},        {"llama3", 0.6F, 0.9F, 0},
    {"r1-", 0.6F, 0.95F, 0},           {"deepseek-v2", 0.3F, 0.95F, 0},
    {"deepseek-v3", 0.3F, 0.95F, 0},   {"deepseek-r1", 0.6F, 0.95F, 0},
    {"deepseek-v3.1", 0.6F, 0.95F, 0},
};

static void take_dialect_advice(sprat_sampling *s, const char *dialect)
{
    s->temperature = 0.7F;
    s->top_p = 0.95F;
    for (size_t i = 0; dialect && i < sizeof advices / sizeof *advices; i++) {
        const struct advice *advice = &advices[i];
        if (strncmp(advice->dialect, dialect, strlen(advice->dialect)) != 0)
            continue;
        s->temperature = advice->temp;
        s->top_p = advice->top_p;
        s->top_k = advice->top_k;
    }
}

/* A number the file advises; one outside the range counts as none. */
static bool file_advice(double *out, const sprat_model *model, const char *key, double max)
{
    sprat_meta meta;
    sprat_init(&meta, sizeof meta);
    if (sprat_model_meta(model, key, &meta) != SPRAT_OK ||
        (meta.type != SPRAT_META_UINT && meta.type != SPRAT_META_INT &&
         meta.type != SPRAT_META_FLOAT) ||
        !(meta.f >= 0 && meta.f <= max))
        return false;
    *out = meta.f;
    return true;
}

static void take_file_advice(sprat_sampling *s, const sprat_model *model)
{
    double value;
    if (file_advice(&value, model, "general.sampling.temp", 100))
        s->temperature = (float)value;
    if (file_advice(&value, model, "general.sampling.top_p", 1))
        s->top_p = (float)value;
    if (file_advice(&value, model, "general.sampling.min_p", 1))
        s->min_p = (float)value;
    if (file_advice(&value, model, "general.sampling.top_k", 1e6))
        s->top_k = (uint32_t)value;
}

int reply_sampling(const struct loaded *l, const struct options *o, const char *dialect)
{
    sprat_sampling s;
    sprat_init(&s, sizeof s);
    take_dialect_advice(&s, dialect);
    take_file_advice(&s, l->model);
    if (o->given & OPT_BIT(OPT_TEMP))
        s.temperature = o->temp;
    if (o->given & OPT_BIT(OPT_TOP_P))
        s.top_p = o->top_p;
    if (o->given & OPT_BIT(OPT_MIN_P))
        s.min_p = o->min_p;
    if (o->given & OPT_BIT(OPT_TOP_K))
        s.top_k = o->top_k;
    s.seed = o->seed;
    s.max_tokens = o->max_tokens;
    s.stops = o->n_stops ? o->stops : NULL;
    s.n_stops = o->n_stops;
    sprat_status status = sprat_session_set_sampling(l->session, &s);
    return status == SPRAT_OK ? 0 : fail_status(status, sprat_session_error(l->session));
}

void reply_begin(struct reply *a, const struct loaded *l)
{
    memset(a, 0, sizeof *a);
    a->started = now_seconds();
    sprat_init(&a->before, sizeof a->before);
    (void)sprat_session_get_stats(l->session, &a->before);
}

void reply_end(struct reply *a)
{
    bytes_end(&a->content);
    bytes_end(&a->reasoning);
    bytes_end(&a->call);
}

static bool ends_open(const struct bytes *b)
{
    return b->len > 0 && b->data[b->len - 1] != '\n';
}

/* One piece of the answer. 0, or 1 after fail. */
static int show_piece(struct reply *a, const sprat_event *event, bool quiet)
{
    bool thought = event->type == SPRAT_EVENT_REASONING;
    if (event->text_len == 0)
        return 0;
    if (a->content.len == 0 && a->reasoning.len == 0)
        a->first_seconds = now_seconds() - a->started;
    if (!thought && a->content.len == 0 && !quiet && a->reasoning.len > 0)
        (void)term_write(stderr, STYLE_PLAIN, "\n\n", ends_open(&a->reasoning) ? 2 : 1);
    if (!bytes_add(thought ? &a->reasoning : &a->content, event->text, event->text_len))
        return fail("no memory for the answer");
    a->after_call = a->after_call && thought;
    if (thought && !quiet)
        (void)term_write(stderr, STYLE_DIM, event->text, event->text_len);
    if (!thought && !term_write(stdout, STYLE_PLAIN, event->text, event->text_len))
        return fail("cannot write to stdout");
    return 0;
}

/* Text as a JSON string, quotes included. */
static bool call_add_string(struct bytes *b, const char *text, size_t len)
{
    bool good = bytes_add(b, "\"", 1);
    for (size_t i = 0; i < len && good; i++) {
        char escaped[8];
        unsigned char byte = (unsigned char)text[i];
        bool plain = byte >= 0x20 && byte != '"' && byte != '\\';
        (void)snprintf(escaped, sizeof escaped, "\\u%04x", byte);
        good = plain ? bytes_add(b, &text[i], 1) : bytes_add(b, escaped, 6);
    }
    return good && bytes_add(b, "\"", 1);
}

/* A call of a tool, kept until it is whole, then shown as one line of JSON. 0, or 1 after fail. */
static int show_call(struct reply *a, const sprat_event *event)
{
    static const char name[] = "{\"name\": ", arguments[] = ", \"arguments\": ", end[] = "}\n";
    bool good = true;
    if (event->type == SPRAT_EVENT_CALL) {
        a->call.len = 0;
        if (a->content.len == 0 && a->reasoning.len == 0 && !a->after_call)
            a->first_seconds = now_seconds() - a->started;
        good = bytes_add(&a->call, name, sizeof name - 1) &&
               call_add_string(&a->call, event->text, event->text_len) &&
               bytes_add(&a->call, arguments, sizeof arguments - 1);
    } else if (event->type == SPRAT_EVENT_ARGUMENTS) {
        good = bytes_add(&a->call, event->text, event->text_len);
    } else if (event->reason == SPRAT_CALL_WHOLE) {
        /* Line ends can only stand between the values. */
        for (size_t i = 0; i < a->call.len; i++)
            if (a->call.data[i] == '\n' || a->call.data[i] == '\r')
                a->call.data[i] = ' ';
        good = bytes_add(&a->call, end, sizeof end - 1);
        bool open = ends_open(&a->content) && !a->after_call;
        if (good && ((open && !term_write(stdout, STYLE_PLAIN, "\n", 1)) ||
                     !term_write(stdout, STYLE_PLAIN, a->call.data, a->call.len)))
            return fail("cannot write to stdout");
        a->after_call = true;
    }
    return good ? 0 : fail("no memory for a tool call");
}

static void show_warning(const sprat_event *event, bool quiet)
{
    if (quiet)
        return;
    (void)term_write(stderr, STYLE_DIM, "\nwarning: ", 10);
    (void)term_write(stderr, STYLE_DIM, event->text, event->text_len);
    (void)term_write(stderr, STYLE_PLAIN, "\n", 1);
}

static void take_figures(struct reply *a, const struct loaded *l)
{
    sprat_session_stats s;
    sprat_init(&s, sizeof s);
    if (sprat_session_get_stats(l->session, &s) != SPRAT_OK)
        return;
    double decode = (double)(s.decode_ns - a->before.decode_ns) * 1e-9;
    double prefill = (double)(s.prefill_ns - a->before.prefill_ns) * 1e-9;
    if (decode > 0)
        a->decode_rate = (double)(s.n_decode - a->before.n_decode) / decode;
    if (prefill > 0)
        a->prefill_rate = (double)(s.n_prefill - a->before.n_prefill) / prefill;
}

/* Takes in one event. 0, or 1 after fail. */
static int take_event(struct reply *a, const sprat_event *event, bool quiet)
{
    switch (event->type) {
    case SPRAT_EVENT_TEXT:
    case SPRAT_EVENT_REASONING:
        return show_piece(a, event, quiet);
    case SPRAT_EVENT_CALL:
    case SPRAT_EVENT_ARGUMENTS:
    case SPRAT_EVENT_CALL_END:
        return show_call(a, event);
    case SPRAT_EVENT_WARNING:
        show_warning(event, quiet);
        return 0;
    case SPRAT_EVENT_USAGE:
        a->n_prompt = event->n_prompt;
        a->n_reused = event->n_reused;
        a->n_generated = event->n_generated;
        return 0;
    case SPRAT_EVENT_DONE:
        a->reason = event->reason;
        return 0;
    default:
        return 0; /* of a newer library */
    }
}

enum reply_end reply_show(struct reply *a, struct loaded *l, bool quiet)
{
    sprat_event event;
    sprat_status status = SPRAT_OK;
    int bad = 0;
    sprat_init(&event, sizeof event);
    while (event.type != SPRAT_EVENT_DONE && !bad) {
        status = sprat_session_next(l->session, &event);
        if (status != SPRAT_OK)
            break;
        bad = take_event(a, &event, quiet);
    }
    take_figures(a, l);
    if (bad)
        return REPLY_FAILED;
    if (ends_open(&a->content) && !a->after_call && !term_write(stdout, STYLE_PLAIN, "\n", 1)) {
        (void)fail("cannot write to stdout");
        return REPLY_FAILED;
    }
    if (a->content.len == 0 && ends_open(&a->reasoning) && !quiet)
        (void)term_write(stderr, STYLE_PLAIN, "\n", 1);
    if (status == SPRAT_OK)
        return REPLY_DONE;
    if (status == SPRAT_CANCELLED)
        return REPLY_CANCELLED;
    (void)fail_status(status, sprat_session_error(l->session));
    return REPLY_FAILED;
}

const char *reply_stats(char *out, const struct reply *a, const struct loaded *l)
{
    enum { ROOM = 200 };
    sprat_context_info info;
    char peak[32], heap[32], rate[48] = "";
    sprat_init(&info, sizeof info);
    (void)sprat_context_get_info(l->context, &info);
    if (a->decode_rate > 0)
        (void)snprintf(rate, sizeof rate, ", then %.1f tok/s", a->decode_rate);
    (void)snprintf(out, ROOM, "%llu tokens, first after %.2f s%s; RAM %s, %s of it allocated",
                   (unsigned long long)a->n_generated, a->first_seconds, rate,
                   size_text(peak, term_peak_memory()), size_text(heap, info.memory_peak));
    return out;
}

const char *reply_cut(const struct reply *a)
{
    switch (a->reason) {
    case SPRAT_DONE_LENGTH:
        return "the answer was cut at --max-tokens";
    case SPRAT_DONE_CONTEXT:
        return "the answer was cut: the context is full";
    default:
        return "";
    }
}
