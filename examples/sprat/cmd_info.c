/* sprat info: what a model file is, and the memory it needs. One "key: value" a line; the keys and
 * their order are fixed (doc/program.md). Text out of the file is escaped: it is not trusted. */
#include "program.h"

#include <inttypes.h>
#include <string.h>

static const struct command_form info_form = {
    "info MODEL", "What the model file is, and the memory one session of --ctx tokens needs.\n",
    OPTS_MACHINE | OPTS_SESSION | OPT_BIT(OPT_META), 1, 1};

/* The lines so far; bad once one did not fit into memory. */
struct report {
    struct bytes text;
    bool bad;
};

static void line_text(struct report *r, const char *key, const char *value, size_t len)
{
    char shown[1024], line[1200];
    int n =
        snprintf(line, sizeof line, "%s: %s\n", key, printable(shown, sizeof shown, value, len));
    r->bad |= n < 0 || !bytes_add(&r->text, line, (size_t)n);
}

static void line_number(struct report *r, const char *key, uint64_t value)
{
    char text[32];
    int len = snprintf(text, sizeof text, "%" PRIu64, value);
    line_text(r, key, text, (size_t)len);
}

static void line_size(struct report *r, const char *key, uint64_t n_bytes)
{
    char text[96], size[32];
    int len = snprintf(text, sizeof text, "%" PRIu64 " (%s)", n_bytes, size_text(size, n_bytes));
    line_text(r, key, text, (size_t)len);
}

/* An id with the text of its token, or "none". */
static void line_token(struct report *r, const char *key, const sprat_model *model, sprat_token id)
{
    char text[160], shown[128] = "";
    sprat_token_info info;
    sprat_init(&info, sizeof info);
    if (id < 0) {
        line_text(r, key, "none", 4);
        return;
    }
    if (sprat_model_token_info(model, id, &info) == SPRAT_OK)
        (void)printable(shown, sizeof shown, info.text, info.text_len);
    int len = snprintf(text, sizeof text, "%" PRId32 " %s", id, shown);
    line_text(r, key, text, (size_t)len);
}

static void line_meta_text(struct report *r, const char *key, const sprat_model *model,
                           const char *meta_key)
{
    sprat_meta meta;
    sprat_init(&meta, sizeof meta);
    if (sprat_model_meta(model, meta_key, &meta) == SPRAT_OK && meta.type == SPRAT_META_STRING)
        line_text(r, key, meta.text, meta.text_len);
    else
        line_text(r, key, "none", 4);
}

static void report_model(struct report *r, const struct loaded *l)
{
    const sprat_model_info *info = &l->info;
    const char *dialect = NULL;
    line_text(r, "architecture", info->architecture, strlen(info->architecture));
    line_text(r, "name", info->name, strlen(info->name));
    line_number(r, "parameters", info->n_parameters);
    line_size(r, "file", info->file_bytes);
    line_number(r, "tensors", info->n_tensors);
    line_text(r, "types", info->types, strlen(info->types));
    line_number(r, "layers", info->n_layers);
    line_number(r, "width", info->n_embd);
    line_number(r, "vocabulary", info->n_vocab);
    line_number(r, "context", info->n_ctx_train);
    line_meta_text(r, "tokenizer", l->model, "tokenizer.ggml.model");
    line_meta_text(r, "pre-tokenizer", l->model, "tokenizer.ggml.pre");
    line_token(r, "bos", l->model, info->bos);
    line_token(r, "eos", l->model, info->eos);
    line_text(r, "add bos", info->add_bos ? "yes" : "no", info->add_bos ? 3 : 2);
    if (sprat_chat_dialect(&dialect, l->model, NULL) != SPRAT_OK)
        dialect = "unknown";
    line_text(r, "chat", dialect, strlen(dialect));
}

/* What a session would take. 0, or 1 after fail. */
static int report_plan(struct report *r, const struct loaded *l, const struct options *o)
{
    sprat_session_options session;
    sprat_source source;
    sprat_plan plan;
    sprat_error error;
    session_options(&session, o, o->ctx);
    sprat_init(&source, sizeof source);
    sprat_init(&plan, sizeof plan);
    sprat_init(&error, sizeof error);
    source.kind = SPRAT_SOURCE_PATH;
    source.path = o->arguments[0];
    sprat_status status = sprat_model_plan(&plan, l->context, &source, NULL, &session, &error);
    if (status != SPRAT_OK)
        return fail_status(status, error.message);
    line_number(r, "plan context", o->ctx ? o->ctx : l->info.n_ctx_train);
    line_size(r, "plan peak", plan.peak_bytes);
    line_size(r, "plan mapped", plan.mapped_bytes);
    line_size(r, "plan model", plan.model_bytes);
    line_size(r, "plan session", plan.session_bytes);
    line_size(r, "plan keys and values", plan.kv_bytes);
    line_number(r, "plan bytes per token", plan.kv_bytes_per_token);
    return 0;
}

static void value_text(char *out, size_t room, const sprat_meta *m)
{
    static const char *const types[] = {"?", "uint", "int", "float", "bool", "string", "array"};
    switch (m->type) {
    case SPRAT_META_UINT:
        (void)snprintf(out, room, "%" PRIu64, m->u);
        break;
    case SPRAT_META_INT:
        (void)snprintf(out, room, "%" PRId64, m->i);
        break;
    case SPRAT_META_FLOAT:
        (void)snprintf(out, room, "%.9g", m->f);
        break;
    case SPRAT_META_BOOL:
        (void)snprintf(out, room, "%s", m->u ? "true" : "false");
        break;
    case SPRAT_META_ARRAY:
        (void)snprintf(out, room, "array of %" PRIu64 " %s", m->n_elements,
                       types[m->element_type <= SPRAT_META_ARRAY ? m->element_type : 0]);
        break;
    default:
        (void)snprintf(out, room, "?");
    }
}

static void report_meta(struct report *r, const struct loaded *l)
{
    for (uint32_t i = 0; i < l->info.n_meta; i++) {
        sprat_meta meta;
        char key[160], text[64];
        sprat_init(&meta, sizeof meta);
        if (sprat_model_meta_at(l->model, i, &meta) != SPRAT_OK)
            continue;
        memcpy(key, "meta ", 5);
        (void)printable(key + 5, sizeof key - 5, meta.key, meta.key_len);
        if (meta.type == SPRAT_META_STRING) {
            line_text(r, key, meta.text, meta.text_len);
            continue;
        }
        value_text(text, sizeof text, &meta);
        line_text(r, key, text, strlen(text));
    }
}

int info_main(int argc, char **argv)
{
    struct options o;
    struct loaded l = {0};
    struct report r = {{0}, false};
    int parsed = options_parse(&o, &info_form, argc, argv);
    if (parsed != OPTIONS_OK)
        return parsed == OPTIONS_HELP ? 0 : 1;
    int bad = load_model(&l, &o, o.arguments[0]);
    if (!bad) {
        report_model(&r, &l);
        bad = report_plan(&r, &l, &o);
    }
    if (!bad && o.given & OPT_BIT(OPT_META))
        report_meta(&r, &l);
    if (!bad && r.bad)
        bad = fail("no memory for the report");
    if (!bad)
        bad = out_write(r.text.data, r.text.len) || out_end();
    bytes_end(&r.text);
    loaded_end(&l);
    return bad;
}
