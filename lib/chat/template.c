/* Owns the recognition of chat templates: a list of known texts, by length and hash. A text that is
 * not in it is not known, however much it looks like one that is. Rows are made by
 * test/tool/template_hash.py. The hash tells known texts apart; it is no protection against a text
 * made to collide, which could gain nothing but another dialect. */
#include "chat/dialect.h"

#include <string.h>

struct template_row {
    uint64_t hash; /* FNV-1a of the normal form */
    size_t len;    /* of the normal form */
    const char *dialect;
};

static const struct template_row template_rows[] = {
    /* SmolLM2-Instruct, all sizes. */
    {0x45ec583d4d25bc3a, 368, "chatml-smollm2"},
    /* Qwen2.5-Instruct, Qwen2.5-Coder-Instruct. */
    {0xe642ce246d7f2e3d, 2506, "qwen2.5"},
    /* Qwen2.5-Instruct as first released: its description of tools has double braces. */
    {0xadaa2a0bbac0305f, 2508, "qwen2.5"},
    /* Qwen3, April 2025. */
    {0x2bfdb7aa9754484e, 4116, "qwen3"},
    /* Qwen3 since: content that is no text counts as empty. */
    {0x959a4551391a6549, 4168, "qwen3"},
    /* Llama-3-Instruct. */
    {0x0e60067a5537498e, 389, "llama3"},
    /* Llama-3.1-Instruct, Llama-3.3-Instruct. */
    {0xcc0368e1ffb6b958, 4613, "llama3.1"},
    /* R1-Distill-Qwen and -Llama, January 2025: no <think> in the generation prompt. */
    {0x9c0722939a9b83ec, 2237, "r1-distill-qwen-0125"},
    /* R1-Distill-Qwen and -Llama since February 2025: with it. */
    {0x845fdf813c637ee2, 2246, "r1-distill-qwen"},
    /* The same, indented anew, as kept with llama.cpp for R1-Distill-Llama. */
    {0x731e2d647d2bf911, 2478, "r1-distill-llama"},
    /* R1-0528-Qwen3-8B, R1-0528. */
    {0xba6def945855a96a, 3127, "r1-0528"},
    /* DeepSeek-V2-Chat, V2-Lite-Chat, deepseek-llm-chat. */
    {0x5111253f4aa4a502, 459, "deepseek-v2"},
    /* DeepSeek-Coder-Instruct. */
    {0x5de747f765e2c199, 1041, "deepseek-coder"},
    /* DeepSeek-V2.5, Coder-V2-Instruct-0724. */
    {0x1239174fc5ac5d54, 2323, "deepseek-v2.5"},
    /* DeepSeek-V3, December 2024. */
    {0xebe3604156dc466a, 2301, "deepseek-v3"},
    /* DeepSeek-V3-0324. */
    {0xb1bd18814dfb1d58, 3052, "deepseek-v3-0324"},
    /* DeepSeek-R1, January 2025, its line ends spelled \n and written out. */
    {0xb9eb54d150716a7d, 2756, "deepseek-r1-0125"},
    {0x8e74dcbeade31809, 2744, "deepseek-r1-0125"},
    /* DeepSeek-R1 since February 2025, the same two. */
    {0x4526f885d718fa95, 2765, "deepseek-r1"},
    {0x7bdee7abc45a0b15, 2752, "deepseek-r1"},
    /* DeepSeek-V3.1, V3.1-Terminus, the same two. */
    {0x28885eb8eebd9c32, 2927, "deepseek-v3.1"},
    {0x92ab976ef7444fb6, 2925, "deepseek-v3.1"},
};

/* The normal form: line ends are "\n", and white space at the end is left out. */
static void template_hash(const char *text, size_t len, uint64_t *hash_out, size_t *len_out)
{
    const uint64_t basis = 0xcbf29ce484222325, prime = 0x100000001b3;
    uint64_t hash = basis;
    size_t n = 0;
    *hash_out = basis;
    *len_out = 0;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '\r' && i + 1 < len && text[i + 1] == '\n')
            continue;
        hash = (hash ^ (unsigned char)c) * prime;
        n++;
        if (c != ' ' && c != '\t' && c != '\n' && c != '\r') {
            *hash_out = hash;
            *len_out = n;
        }
    }
}

const struct sprat__dialect *sprat__dialect_by_template(const char *text, size_t len)
{
    uint64_t hash;
    size_t n;
    template_hash(text, len, &hash, &n);
    for (size_t i = 0; i < sizeof template_rows / sizeof template_rows[0]; i++)
        if (template_rows[i].hash == hash && template_rows[i].len == n)
            return sprat__dialect_by_name(template_rows[i].dialect);
    return NULL;
}
