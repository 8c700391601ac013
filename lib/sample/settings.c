/* Owns the rules of a sampling request. Invariant: what passes is finite where it must be, and its
 * counts and pointers agree, so the sampler has no case of error left but the logits. */
#include "sample/settings.h"

#include "sample/sampler.h"

#include <float.h>

static sprat_status settings_refuse(struct sprat__err *err, const char *field, const char *allowed,
                                    double found)
{
    char number[SPRAT__NUMBER_BYTES];
    return sprat__fail(err, SPRAT_INVALID, "sampling: %s must be %s, not %s", field, allowed,
                       sprat__number(number, found));
}

static sprat_status settings_check_numbers(const struct sprat_sampling *settings,
                                           struct sprat__err *err)
{
    const struct {
        const char *name;
        float value, low;
        const char *allowed;
    } finite[] = {
        {"temperature", settings->temperature, 0, "finite and at least 0"},
        {"repetition_penalty", settings->repetition_penalty, 0, "finite and at least 0"},
        {"presence_penalty", settings->presence_penalty, -FLT_MAX, "finite"},
        {"frequency_penalty", settings->frequency_penalty, -FLT_MAX, "finite"},
    };
    for (size_t i = 0; i < sizeof finite / sizeof finite[0]; i++) {
        if (!(finite[i].value >= finite[i].low && finite[i].value <= FLT_MAX))
            return settings_refuse(err, finite[i].name, finite[i].allowed, (double)finite[i].value);
    }
    if (!(settings->top_p >= 0 && settings->top_p <= 1))
        return settings_refuse(err, "top_p", "from 0 to 1", (double)settings->top_p);
    if (!(settings->min_p >= 0 && settings->min_p < 1))
        return settings_refuse(err, "min_p", "at least 0 and below 1", (double)settings->min_p);
    if (settings->n_logprobs > SPRAT__MOST_LOGPROBS)
        return settings_refuse(err, "n_logprobs", "at most 64", settings->n_logprobs);
    if (settings->ignore_end > 1)
        return settings_refuse(err, "ignore_end", "0 or 1", settings->ignore_end);
    if (settings->reserved != 0)
        return settings_refuse(err, "reserved", "0", settings->reserved);
    return SPRAT_OK;
}

static sprat_status settings_check_bias(const struct sprat_sampling *settings, uint32_t n_vocab,
                                        struct sprat__err *err)
{
    if (settings->n_bias > 0 && (!settings->bias_tokens || !settings->bias_values))
        return sprat__fail(err, SPRAT_INVALID,
                           "sampling: n_bias is %u, but bias_tokens or bias_values is NULL",
                           settings->n_bias);
    for (uint32_t i = 0; i < settings->n_bias; i++) {
        sprat_token token = settings->bias_tokens[i];
        float value = settings->bias_values[i];
        if (token < 0 || (uint32_t)token >= n_vocab)
            return sprat__fail(err, SPRAT_INVALID,
                               "sampling: bias_tokens[%u] must be from 0 to %u, not %d", i,
                               n_vocab - 1, token);
        if (!(value <= FLT_MAX)) {
            char number[SPRAT__NUMBER_BYTES];
            return sprat__fail(err, SPRAT_INVALID,
                               "sampling: bias_values[%u] must be finite or -infinity, not %s", i,
                               sprat__number(number, (double)value));
        }
    }
    return SPRAT_OK;
}

sprat_status sprat__settings_check(const struct sprat_sampling *settings, uint32_t n_vocab,
                                   struct sprat__err *err)
{
    SPRAT_TRY(settings_check_numbers(settings, err));
    SPRAT_TRY(settings_check_bias(settings, n_vocab, err));
    return sprat__stops_check(settings->stops, settings->n_stops, err);
}
