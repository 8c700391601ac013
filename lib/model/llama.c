/* Llama 2, 3, 3.1, 3.3, Mistral's models of that shape, SmolLM2, R1-Distill-Llama. The converter
 * permutes the rows of q and k, so that pairs of channels that rotate together are adjacent. Llama
 * 3.1's frequency scaling comes as rope_freqs.weight. Biases exist in a few relatives only. */
#include "model/config.h"
#include "model/step.h"

static sprat_status llama_bind(struct sprat__model *model, uint32_t layer, struct sprat__err *err)
{
    SPRAT_TRY(sprat__dense_bind(model, layer, err));
    return sprat__dense_bind_biases(model, layer, true, err);
}

const struct sprat__family sprat__family_llama = {
    "llama", SPRAT__ROPE_ADJACENT, sprat__config_read_dense, llama_bind, sprat__dense_forward};
