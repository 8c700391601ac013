/* Owns the order in which symbols are joined. Leaves what a symbol and a pair are to the rule.
 *
 * Short words, nearly all there are, live in arrays on the stack, and each step looks at every
 * pair. Long ones have one number per byte for symbols and one for keys, and above the keys a tree
 * of minima, 16 to 1. Symbols lie where their text begins; from two bytes on, their second and
 * their last number hold the length with MERGE_LENGTH set, so that both neighbours are found
 * without links. Invariant: each node of the tree is the least of its 16 children; bytes where no
 * pair begins have the key SPRAT__NO_MERGE. */
#include "tokenizer/merge.h"

#include "base/checked.h"
#include "tokenizer/vocab.h"

#include <string.h>

enum { MERGE_FAN = 16, MERGE_MAX_LEVELS = 9, MERGE_LEAST_WORDS = 4096 };
#define MERGE_LENGTH 0x80000000u

struct merge_tree {
    uint32_t *symbols; /* n */
    uint32_t n;
    uint32_t n_levels;
    uint32_t *levels[MERGE_MAX_LEVELS]; /* keys first; the last has MERGE_FAN numbers */
    size_t sizes[MERGE_MAX_LEVELS];     /* multiples of MERGE_FAN */
};

void sprat__merge_short(struct sprat__merger *merger, const struct sprat__merge_rule *rule,
                        size_t begin, size_t end)
{
    uint32_t symbols[SPRAT__SHORT_WORD], keys[SPRAT__SHORT_WORD], starts[SPRAT__SHORT_WORD + 1];
    uint32_t n = 0;
    for (size_t at = begin; at < end; n++) {
        uint32_t len;
        starts[n] = (uint32_t)(at - begin);
        symbols[n] = rule->first(rule->context, at, end, &len);
        at += len;
    }
    starts[n] = (uint32_t)(end - begin);
    for (uint32_t i = 0; i + 1 < n; i++)
        keys[i] = rule->key(rule->context, symbols[i], symbols[i + 1], begin + starts[i],
                            starts[i + 2] - starts[i]);
    while (n > 1) {
        uint32_t best = 0;
        for (uint32_t i = 1; i + 1 < n; i++) {
            if (keys[i] < keys[best])
                best = i;
        }
        merger->steps += (n + MERGE_FAN - 1) / MERGE_FAN;
        if (keys[best] == SPRAT__NO_MERGE)
            break;
        symbols[best] = rule->join(rule->context, keys[best], begin + starts[best],
                                   starts[best + 2] - starts[best]);
        merger->steps++;
        n--;
        for (uint32_t i = best + 1; i < n; i++) {
            symbols[i] = symbols[i + 1];
            starts[i] = starts[i + 1];
            keys[i - 1] = keys[i];
        }
        starts[n] = starts[n + 1];
        if (best + 1 < n)
            keys[best] = rule->key(rule->context, symbols[best], symbols[best + 1],
                                   begin + starts[best], starts[best + 2] - starts[best]);
        if (best > 0)
            keys[best - 1] =
                rule->key(rule->context, symbols[best - 1], symbols[best], begin + starts[best - 1],
                          starts[best + 1] - starts[best - 1]);
    }
    for (uint32_t i = 0; i < n; i++)
        rule->emit(rule->context, symbols[i], begin + starts[i], starts[i + 1] - starts[i]);
}

static uint32_t merge_least(const uint32_t *block)
{
    uint32_t least = block[0];
    for (int i = 1; i < MERGE_FAN; i++)
        least = block[i] < least ? block[i] : least;
    return least;
}

/* Gives the pair that begins at at a new key, and the nodes above it what follows from that. */
static void merge_set(struct sprat__merger *merger, struct merge_tree *tree, size_t at,
                      uint32_t key)
{
    uint32_t old = tree->levels[0][at];
    tree->levels[0][at] = key;
    for (uint32_t level = 1; level < tree->n_levels && key != old; level++) {
        const size_t parent = at / MERGE_FAN;
        uint32_t *node = &tree->levels[level][parent];
        uint32_t next = *node;
        if (key < next) {
            next = key;
        } else if (old == next) {
            next = merge_least(tree->levels[level - 1] + parent * MERGE_FAN);
            merger->steps++;
        }
        old = *node;
        *node = next;
        key = next;
        at = parent;
    }
}

/* Where the leftmost pair with the lowest key begins, and that key. */
static uint32_t merge_find(struct sprat__merger *merger, const struct merge_tree *tree, size_t *at)
{
    uint32_t level = tree->n_levels - 1;
    const uint32_t key = merge_least(tree->levels[level]);
    size_t block = 0;
    merger->steps++;
    if (key == SPRAT__NO_MERGE)
        return key;
    for (;;) {
        size_t i = block * MERGE_FAN;
        while (tree->levels[level][i] != key)
            i++;
        merger->steps++;
        if (level == 0) {
            *at = i;
            return key;
        }
        block = i;
        level--;
    }
}

static uint32_t merge_length(const struct merge_tree *tree, size_t at)
{
    if (at + 1 < tree->n && (tree->symbols[at + 1] & MERGE_LENGTH))
        return tree->symbols[at + 1] & ~MERGE_LENGTH;
    return 1;
}

/* The start of the symbol that ends before at > 0. */
static size_t merge_before(const struct merge_tree *tree, size_t at)
{
    const uint32_t last = tree->symbols[at - 1];
    return last & MERGE_LENGTH ? at - (last & ~MERGE_LENGTH) : at - 1;
}

static void merge_put(struct merge_tree *tree, size_t at, uint32_t symbol, uint32_t len)
{
    if (len > 1) {
        tree->symbols[at + 1] = MERGE_LENGTH | len;
        tree->symbols[at + len - 1] = MERGE_LENGTH | len;
    }
    tree->symbols[at] = symbol;
}

/* Lays the tree out in the merger's scratch, which grows if it must. */
static sprat_status merge_lay_out(struct sprat__merger *merger, struct merge_tree *tree, size_t n,
                                  struct sprat__err *err)
{
    size_t total = n, size = n;
    tree->n = (uint32_t)n;
    tree->n_levels = 0;
    do {
        size = (size / MERGE_FAN + (size % MERGE_FAN != 0)) * MERGE_FAN;
        tree->sizes[tree->n_levels++] = size;
        if (!sprat__add_size(total, size, &total))
            return sprat__fail(err, SPRAT_NO_MEMORY, "out of memory: a word of %zu bytes", n);
        size /= MERGE_FAN;
    } while (size > 1);
    if (total > merger->n_words) {
        /* No slack: taking a block costs no more than filling it, whatever words come. */
        const size_t room = total < MERGE_LEAST_WORDS ? MERGE_LEAST_WORDS : total;
        sprat__merger_end(merger);
        merger->words =
            sprat__new_raw(merger->mem, room, sizeof(uint32_t), SPRAT_PURPOSE_TEXT, err);
        if (!merger->words)
            return err->status;
        merger->n_words = room;
        const size_t bytes = sprat__block_bytes(room, sizeof(uint32_t));
        if (bytes > merger->peak_bytes)
            merger->peak_bytes = bytes;
    }
    tree->symbols = merger->words;
    uint32_t *next = merger->words + n;
    for (uint32_t level = 0; level < tree->n_levels; level++) {
        tree->levels[level] = next;
        next += tree->sizes[level];
    }
    return SPRAT_OK;
}

/* Fills symbols, keys and nodes for the text as it stands. */
static void merge_fill(const struct sprat__merge_rule *rule, struct merge_tree *tree, size_t begin)
{
    for (size_t at = 0; at < tree->n;) {
        uint32_t len;
        const uint32_t symbol = rule->first(rule->context, begin + at, begin + tree->n, &len);
        merge_put(tree, at, symbol, len);
        at += len;
    }
    uint32_t *keys = tree->levels[0];
    memset(keys, 0xff, tree->sizes[0] * sizeof *keys);
    for (size_t at = 0; at < tree->n;) {
        const uint32_t len = merge_length(tree, at);
        const size_t right = at + len;
        if (right < tree->n)
            keys[at] = rule->key(rule->context, tree->symbols[at], tree->symbols[right], begin + at,
                                 len + merge_length(tree, right));
        at = right;
    }
    for (uint32_t level = 1; level < tree->n_levels; level++) {
        const size_t n = tree->sizes[level - 1] / MERGE_FAN;
        for (size_t i = 0; i < n; i++)
            tree->levels[level][i] = merge_least(tree->levels[level - 1] + i * MERGE_FAN);
        for (size_t i = n; i < tree->sizes[level]; i++)
            tree->levels[level][i] = SPRAT__NO_MERGE;
    }
}

/* Joins the pair that begins at at, and looks its new neighbours up. Returns where the pair with
 * the symbol before it begins; at, if there is none. */
static size_t merge_join(struct sprat__merger *merger, const struct sprat__merge_rule *rule,
                         struct merge_tree *tree, size_t begin, size_t at, uint32_t key)
{
    const size_t right = at + merge_length(tree, at);
    const size_t after = right + merge_length(tree, right);
    const uint32_t len = (uint32_t)(after - at);
    const uint32_t symbol = rule->join(rule->context, key, begin + at, len);
    merge_put(tree, at, symbol, len);
    merger->steps++;
    merge_set(merger, tree, right, SPRAT__NO_MERGE);
    uint32_t next_key = SPRAT__NO_MERGE;
    if (after < tree->n)
        next_key = rule->key(rule->context, symbol, tree->symbols[after], begin + at,
                             len + merge_length(tree, after));
    merge_set(merger, tree, at, next_key);
    if (at == 0)
        return at;
    const size_t before = merge_before(tree, at);
    merge_set(
        merger, tree, before,
        rule->key(rule->context, tree->symbols[before], symbol, begin + before, after - before));
    return before;
}

/* The next pair after one with *key was joined at *at, and before is what merge_join gave. No other
 * pair's key is lower, and those that are equal lie further right; so it is one of the two that
 * have changed, or the next equal one, nearly always in the same block. */
static void merge_advance(struct sprat__merger *merger, const struct merge_tree *tree, size_t *at,
                          uint32_t *key, size_t before)
{
    const uint32_t *keys = tree->levels[0];
    if (keys[before] <= *key || keys[*at] <= *key) {
        *at = keys[before] <= keys[*at] ? before : *at;
        *key = keys[*at];
        return;
    }
    merger->steps++;
    for (size_t i = *at + 1; i % MERGE_FAN != 0; i++) {
        if (keys[i] == *key) {
            *at = i;
            return;
        }
    }
    *key = merge_find(merger, tree, at);
}

sprat_status sprat__merge_long(struct sprat__merger *merger, const struct sprat__merge_rule *rule,
                               size_t begin, size_t end, struct sprat__err *err)
{
    struct merge_tree tree;
    if (begin == end)
        return SPRAT_OK;
    SPRAT_TRY(merge_lay_out(merger, &tree, end - begin, err));
    merge_fill(rule, &tree, begin);
    size_t at = 0;
    uint32_t key = merge_find(merger, &tree, &at);
    while (key != SPRAT__NO_MERGE)
        merge_advance(merger, &tree, &at, &key, merge_join(merger, rule, &tree, begin, at, key));
    for (at = 0; at < tree.n;) {
        const uint32_t len = merge_length(&tree, at);
        rule->emit(rule->context, tree.symbols[at], begin + at, len);
        at += len;
    }
    return SPRAT_OK;
}

sprat_status sprat__merge_word(struct sprat__merger *merger, const struct sprat__merge_rule *rule,
                               size_t begin, size_t end, struct sprat__err *err)
{
    if (end - begin > SPRAT__SHORT_WORD)
        return sprat__merge_long(merger, rule, begin, end, err);
    sprat__merge_short(merger, rule, begin, end);
    return SPRAT_OK;
}

void sprat__merger_end(struct sprat__merger *merger)
{
    sprat__wipe_free(merger->mem, merger->words);
    merger->words = NULL;
    merger->n_words = 0;
}
