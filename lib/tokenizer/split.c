/* Owns the pre-tokenisers' scanners. Leaves merging to merge.c and added tokens to tokenizer.c.
 * Invariant: the pieces of a walk follow each other without hole or overlap. Alternatives of a
 * pattern are tried in its order, as a backtracking regex engine would; where such an engine would
 * give back characters, the comment says which way that always ends. */
#include "tokenizer/split.h"

#include "tokenizer/unicode.h"

#include <string.h>

enum {
    SPLIT_L = SPRAT__UNI_LETTER,
    SPLIT_M = SPRAT__UNI_MARK,
    SPLIT_N = SPRAT__UNI_NUMBER,
    SPLIT_P = SPRAT__UNI_PUNCTUATION,
    SPLIT_S = SPRAT__UNI_SYMBOL,
    SPLIT_SPACE = SPRAT__UNI_SPACE
};

/* One character of the text. */
struct split_char {
    uint32_t point, bits, len;
};

static inline struct split_char split_at(struct sprat__split *split, size_t at, size_t end)
{
    struct split_char c;
    split->steps++;
    c.len = sprat__utf8_decode(split->text + at, end - at, &c.point);
    c.bits = sprat__unicode_class(c.point);
    return c;
}

/* The end of the longest run at at of characters that have one of the bits. */
static size_t split_run(struct sprat__split *split, size_t at, size_t end, uint32_t bits)
{
    while (at < end) {
        const struct split_char c = split_at(split, at, end);
        if (!(c.bits & bits))
            break;
        at += c.len;
    }
    return at;
}

/* The same for characters that have none of the bits. */
static size_t split_run_without(struct sprat__split *split, size_t at, size_t end, uint32_t bits)
{
    while (at < end) {
        const struct split_char c = split_at(split, at, end);
        if (c.bits & bits)
            break;
        at += c.len;
    }
    return at;
}

static bool split_is_newline(uint32_t point)
{
    return point == '\r' || point == '\n';
}

static size_t split_newlines(struct sprat__split *split, size_t at, size_t end)
{
    while (at < end && split_is_newline(split->text[at])) {
        split->steps++;
        at++;
    }
    return at;
}

/* [\s*[\r\n]+|] \s+(?!\S) [|\s+] at at, a whitespace character: with newlines, up to the last
 * newline of the run; else the whole run where the text ends behind it, or all but its last
 * character; of a run of one character before other text, that one if alone is set, else nothing.
 */
static size_t split_spaces(struct sprat__split *split, size_t at, size_t end, bool newlines,
                           bool alone)
{
    size_t next = at, last = at, after_newline = 0;
    while (next < end) {
        const struct split_char c = split_at(split, next, end);
        if (!(c.bits & SPLIT_SPACE))
            break;
        last = next;
        next += c.len;
        if (split_is_newline(c.point))
            after_newline = next;
    }
    if (newlines && after_newline)
        return after_newline;
    if (next == end)
        return next;
    if (last > at)
        return last;
    return alone ? next : at;
}

/* 's 't 're 've 'm 'll 'd at at, an apostrophe: the end, or at. With fold, letters of both cases,
 * and U+017F, whose other case is s. */
static size_t split_contraction(struct sprat__split *split, size_t at, size_t end, bool fold)
{
    uint8_t c[2] = {0, 0};
    for (size_t i = 0; i < 2 && at + 1 + i < end; i++) {
        c[i] = split->text[at + 1 + i];
        if (fold && c[i] >= 'A' && c[i] <= 'Z')
            c[i] = (uint8_t)(c[i] + ('a' - 'A'));
    }
    split->steps += 2;
    if (c[0] == 's' || c[0] == 't' || c[0] == 'm' || c[0] == 'd')
        return at + 2;
    if ((c[1] == 'e' && (c[0] == 'r' || c[0] == 'v')) || (c[0] == 'l' && c[1] == 'l'))
        return at + 3;
    if (fold && c[0] == 0xc5 && c[1] == 0xbf)
        return at + 3;
    return at;
}

/* A match of a pass's pattern that begins at at: its end, or at where there is none. Where there is
 * none, only a fixed number of characters has been looked at. */
typedef size_t split_match(struct sprat__split *split, size_t at, size_t end);

/* (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,digits}
 * | ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+ */
static size_t split_words(struct sprat__split *split, size_t at, size_t end, int digits)
{
    const struct split_char c = split_at(split, at, end);
    if (c.point == '\'') {
        const size_t stop = split_contraction(split, at, end, true);
        if (stop > at)
            return stop;
    }
    size_t next = at + c.len;
    if (c.bits & SPLIT_L)
        return split_run(split, next, end, SPLIT_L);
    if (c.bits & SPLIT_N) {
        for (int i = 1; i < digits && next < end; i++) {
            const struct split_char d = split_at(split, next, end);
            if (!(d.bits & SPLIT_N))
                break;
            next += d.len;
        }
        return next;
    }
    uint32_t following = 0; /* the class of the next character; 0, "other", only if there is none */
    if (next < end)
        following = split_at(split, next, end).bits;
    if (!split_is_newline(c.point) && (following & SPLIT_L))
        return split_run(split, next, end, SPLIT_L);
    const uint32_t not_other = SPLIT_SPACE | SPLIT_L | SPLIT_N;
    if (!(c.bits & not_other) || (c.point == ' ' && next < end && !(following & not_other))) {
        next = split_run_without(split, next, end, not_other);
        return split_newlines(split, next, end);
    }
    return split_spaces(split, at, end, true, true);
}

static size_t split_match_llama3(struct sprat__split *split, size_t at, size_t end)
{
    return split_words(split, at, end, 3);
}

static size_t split_match_qwen2(struct sprat__split *split, size_t at, size_t end)
{
    return split_words(split, at, end, 1);
}

/* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S) */
static size_t split_match_gpt2(struct sprat__split *split, size_t at, size_t end)
{
    struct split_char c = split_at(split, at, end);
    size_t next = at + c.len;
    if (c.point == '\'') {
        const size_t stop = split_contraction(split, at, end, false);
        if (stop > at)
            return stop;
    }
    if (c.point == ' ' && next < end) {
        c = split_at(split, next, end);
        next += c.len;
    }
    if (c.bits & SPLIT_SPACE)
        return split_spaces(split, at, end, false, false);
    if (c.bits & SPLIT_L)
        return split_run(split, next, end, SPLIT_L);
    if (c.bits & SPLIT_N)
        return split_run(split, next, end, SPLIT_N);
    return split_run_without(split, next, end, SPLIT_SPACE | SPLIT_L | SPLIT_N);
}

/* \p{N} of the Digits splitter, one by one. */
static size_t split_match_digit(struct sprat__split *split, size_t at, size_t end)
{
    const struct split_char c = split_at(split, at, end);
    return c.bits & SPRAT__UNI_DIGIT ? at + c.len : at;
}

/* \p{N}+ */
static size_t split_match_numbers(struct sprat__split *split, size_t at, size_t end)
{
    return split_run(split, at, end, SPLIT_N);
}

/* \p{N}{1,3} */
static size_t split_match_3_numbers(struct sprat__split *split, size_t at, size_t end)
{
    for (int i = 0; i < 3 && at < end; i++) {
        const struct split_char c = split_at(split, at, end);
        if (!(c.bits & SPLIT_N))
            break;
        at += c.len;
    }
    return at;
}

/* [0-9][0-9][0-9] */
static size_t split_match_3_ascii(struct sprat__split *split, size_t at, size_t end)
{
    split->steps += 3;
    if (end - at < 3)
        return at;
    for (size_t i = 0; i < 3; i++) {
        if (split->text[at + i] < '0' || split->text[at + i] > '9')
            return at;
    }
    return at + 3;
}

/* [\p{P}\$\+<=>\^~\|]+ */
static size_t split_match_marks(struct sprat__split *split, size_t at, size_t end)
{
    while (at < end) {
        const struct split_char c = split_at(split, at, end);
        const bool named = c.point < 0x80 && memchr("$+<=>^~|", (int)c.point, 8);
        if (!named && !(c.bits & SPLIT_P))
            break;
        at += c.len;
    }
    return at;
}

/* [\r\n] */
static size_t split_match_newline(struct sprat__split *split, size_t at, size_t end)
{
    (void)end;
    split->steps++;
    return split_is_newline(split->text[at]) ? at + 1 : at;
}

/* \s?[bits]+ */
static size_t split_spaced_run(struct sprat__split *split, size_t at, size_t end, uint32_t bits)
{
    const struct split_char c = split_at(split, at, end);
    size_t next = at + c.len;
    if (!(c.bits & bits)) {
        if (!(c.bits & SPLIT_SPACE) || next == end)
            return at;
        const struct split_char d = split_at(split, next, end);
        if (!(d.bits & bits))
            return at;
        next += d.len;
    }
    return split_run(split, next, end, bits);
}

static size_t split_match_letters(struct sprat__split *split, size_t at, size_t end)
{
    return split_spaced_run(split, at, end, SPLIT_L);
}

static size_t split_match_cased(struct sprat__split *split, size_t at, size_t end)
{
    return split_spaced_run(split, at, end, SPRAT__UNI_CASED);
}

static size_t split_match_punctuation(struct sprat__split *split, size_t at, size_t end)
{
    return split_spaced_run(split, at, end, SPLIT_P);
}

/* [!-/:-~] and the full-width, quoting and ideographic ranges of DeepSeek-LLM's third pass. */
static bool split_is_llm_mark(uint32_t point)
{
    return (point >= 0x21 && point <= 0x2f) || (point >= 0x3a && point <= 0x7e) ||
           (point >= 0xff01 && point <= 0xff0f) || (point >= 0xff1a && point <= 0xff5e) ||
           (point >= 0x2018 && point <= 0x201f) || (point >= 0x3000 && point <= 0x3002);
}

/* \s?[marks]+; U+3000 is both, and then the run is the same whichever way it is taken. */
static size_t split_match_llm_marks(struct sprat__split *split, size_t at, size_t end)
{
    const struct split_char c = split_at(split, at, end);
    size_t next = at + c.len;
    if (!split_is_llm_mark(c.point) && (!(c.bits & SPLIT_SPACE) || next == end ||
                                        !split_is_llm_mark(split_at(split, next, end).point)))
        return at;
    while (next < end) {
        const struct split_char d = split_at(split, next, end);
        if (!split_is_llm_mark(d.point))
            break;
        next += d.len;
    }
    return next;
}

/* U+0800 to U+9FA5 and U+AC00 to U+D7FF, one or more. */
static size_t split_match_llm_east(struct sprat__split *split, size_t at, size_t end)
{
    while (at < end) {
        const struct split_char c = split_at(split, at, end);
        if (!(c.point >= 0x800 && c.point <= 0x9fa5) && !(c.point >= 0xac00 && c.point <= 0xd7ff))
            break;
        at += c.len;
    }
    return at;
}

/* U+4E00 to U+9FA5 and kana, one or more. */
static size_t split_match_v3_east(struct sprat__split *split, size_t at, size_t end)
{
    while (at < end) {
        const struct split_char c = split_at(split, at, end);
        if (!(c.point >= 0x4e00 && c.point <= 0x9fa5) && !(c.point >= 0x3040 && c.point <= 0x30ff))
            break;
        at += c.len;
    }
    return at;
}

static bool split_is_ascii_letter(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool split_is_ascii_mark(uint32_t point)
{
    return point > 0x20 && point < 0x7f && !split_is_ascii_letter((uint8_t)point) &&
           !(point >= '0' && point <= '9');
}

/* [!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+
 * | ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+ */
static size_t split_match_v3(struct sprat__split *split, size_t at, size_t end)
{
    const struct split_char c = split_at(split, at, end);
    size_t next = at + c.len;
    if (split_is_ascii_mark(c.point) && next < end && split_is_ascii_letter(split->text[next])) {
        while (next < end && split_is_ascii_letter(split->text[next])) {
            split->steps++;
            next++;
        }
        return next;
    }
    if (c.bits & (SPLIT_L | SPLIT_M))
        return split_run(split, next, end, SPLIT_L | SPLIT_M);
    const uint32_t following = next < end ? split_at(split, next, end).bits : 0;
    const uint32_t marks = SPLIT_P | SPLIT_S;
    if (!split_is_newline(c.point) && !(c.bits & marks) && (following & (SPLIT_L | SPLIT_M)))
        return split_run(split, next, end, SPLIT_L | SPLIT_M);
    if ((c.bits & marks) || (c.point == ' ' && (following & marks))) {
        next = split_run(split, next, end, marks);
        return split_newlines(split, next, end);
    }
    if (c.bits & SPLIT_SPACE)
        return split_spaces(split, at, end, true, true);
    return at;
}

/* The next piece of a pass: a match, or the gap before the next one. A match that ends a gap is
 * looked at again when its turn comes, so twice at most. */
static size_t split_piece(struct sprat__split *split, split_match *match, size_t at, size_t end)
{
    size_t stop = match(split, at, end);
    if (stop > at)
        return stop;
    do {
        at += split_at(split, at, end).len;
    } while (at < end && match(split, at, end) == at);
    return at;
}

/* \s+$ as a pass of its own: what ends a piece of whitespace is known only at its end, so the whole
 * piece is looked at once, and its tail again. */
static size_t split_piece_tail(struct sprat__split *split, size_t at, size_t end)
{
    size_t tail = at;
    for (size_t next = at; next < end;) {
        const struct split_char c = split_at(split, next, end);
        next += c.len;
        if (!(c.bits & SPLIT_SPACE))
            tail = next;
    }
    return tail > at ? tail : end;
}

struct split_pass {
    split_match *match; /* NULL: the tail pass */
};

struct split_form {
    uint32_t n_passes;
    struct split_pass passes[SPRAT__SPLIT_PASSES];
};

static const struct split_form split_forms[SPRAT__N_SPLITS] = {
    [SPRAT__SPLIT_DEFAULT] =
        {4,
         {{split_match_marks}, {split_match_gpt2}, {split_match_numbers}, {split_match_3_ascii}}},
    [SPRAT__SPLIT_GPT2] = {1, {{split_match_gpt2}}},
    [SPRAT__SPLIT_SMOLLM] = {2, {{split_match_digit}, {split_match_gpt2}}},
    [SPRAT__SPLIT_LLAMA3] = {1, {{split_match_llama3}}},
    [SPRAT__SPLIT_QWEN2] = {1, {{split_match_qwen2}}},
    [SPRAT__SPLIT_DEEPSEEK_LLM] = {6,
                                   {{split_match_newline},
                                    {split_match_cased},
                                    {split_match_llm_marks},
                                    {NULL},
                                    {split_match_llm_east},
                                    {split_match_digit}}},
    [SPRAT__SPLIT_DEEPSEEK_CODER] = {5,
                                     {{split_match_newline},
                                      {split_match_letters},
                                      {split_match_punctuation},
                                      {split_match_llm_east},
                                      {split_match_digit}}},
    [SPRAT__SPLIT_DEEPSEEK_V3] =
        {3, {{split_match_3_numbers}, {split_match_v3_east}, {split_match_v3}}},
};

void sprat__split_begin(struct sprat__split *split, enum sprat__split_kind kind,
                        const uint8_t *text, size_t begin, size_t end)
{
    split->text = text;
    split->kind = kind;
    split->depth = 1;
    split->levels[0].at = begin;
    split->levels[0].end = end;
}

bool sprat__split_next(struct sprat__split *split, size_t *begin, size_t *end)
{
    const struct split_form *form = &split_forms[split->kind];
    while (split->depth > 0) {
        const uint32_t level = split->depth - 1;
        const size_t at = split->levels[level].at, stop = split->levels[level].end;
        if (at == stop) {
            split->depth--;
            continue;
        }
        split_match *match = form->passes[level].match;
        const size_t next =
            match ? split_piece(split, match, at, stop) : split_piece_tail(split, at, stop);
        split->levels[level].at = next;
        if (split->depth == form->n_passes) {
            *begin = at;
            *end = next;
            return true;
        }
        split->levels[split->depth].at = at;
        split->levels[split->depth].end = next;
        split->depth++;
    }
    return false;
}

static const struct split_name {
    const char *name;
    enum sprat__split_kind kind;
} split_names[] = {
    {"default", SPRAT__SPLIT_DEFAULT},
    {"gpt-2", SPRAT__SPLIT_GPT2},
    {"phi-2", SPRAT__SPLIT_GPT2},
    {"jina-es", SPRAT__SPLIT_GPT2},
    {"jina-de", SPRAT__SPLIT_GPT2},
    {"jina-v2-es", SPRAT__SPLIT_GPT2},
    {"jina-v2-de", SPRAT__SPLIT_GPT2},
    {"gigachat", SPRAT__SPLIT_GPT2},
    {"a.x-4.0", SPRAT__SPLIT_GPT2},
    {"mellum", SPRAT__SPLIT_GPT2},
    {"exaone4", SPRAT__SPLIT_GPT2},
    {"smollm", SPRAT__SPLIT_SMOLLM},
    {"starcoder", SPRAT__SPLIT_SMOLLM},
    {"refact", SPRAT__SPLIT_SMOLLM},
    {"command-r", SPRAT__SPLIT_SMOLLM},
    {"codeshell", SPRAT__SPLIT_SMOLLM},
    {"exaone", SPRAT__SPLIT_SMOLLM},
    {"minerva-7b", SPRAT__SPLIT_SMOLLM},
    {"llama-bpe", SPRAT__SPLIT_LLAMA3},
    {"llama3", SPRAT__SPLIT_LLAMA3},
    {"llama-v3", SPRAT__SPLIT_LLAMA3},
    {"falcon3", SPRAT__SPLIT_LLAMA3},
    {"falcon-h1", SPRAT__SPLIT_LLAMA3},
    {"pixtral", SPRAT__SPLIT_LLAMA3},
    {"midm-2.0", SPRAT__SPLIT_LLAMA3},
    {"lfm2", SPRAT__SPLIT_LLAMA3},
    {"qwen2", SPRAT__SPLIT_QWEN2},
    {"deepseek-r1-qwen", SPRAT__SPLIT_QWEN2},
    {"kormo", SPRAT__SPLIT_QWEN2},
    {"megrez", SPRAT__SPLIT_QWEN2},
    {"deepseek-llm", SPRAT__SPLIT_DEEPSEEK_LLM},
    {"deepseek-coder", SPRAT__SPLIT_DEEPSEEK_CODER},
    {"deepseek-v3", SPRAT__SPLIT_DEEPSEEK_V3},
    {"joyai-llm", SPRAT__SPLIT_DEEPSEEK_V3},
    {"hunyuan-dense", SPRAT__SPLIT_DEEPSEEK_V3},
};

bool sprat__split_find(const char *name, size_t len, enum sprat__split_kind *kind)
{
    for (size_t i = 0; i < sizeof split_names / sizeof split_names[0]; i++) {
        if (strlen(split_names[i].name) == len && memcmp(split_names[i].name, name, len) == 0) {
            *kind = split_names[i].kind;
            return true;
        }
    }
    return false;
}
