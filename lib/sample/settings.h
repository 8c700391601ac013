/* What a sampling request may hold: the checks, apart from the drawing. */
#ifndef SPRAT__SETTINGS_H
#define SPRAT__SETTINGS_H

#include "base/status.h"

enum { SPRAT__MOST_LOGPROBS = 64 };

/* INVALID names the field, what is allowed and what was found. */
sprat_status sprat__settings_check(const struct sprat_sampling *settings, uint32_t n_vocab,
                                   struct sprat__err *err);

#endif
