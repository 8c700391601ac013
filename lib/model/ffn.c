/* Owns the gated feed-forward part: x += down · (SiLU(gate · norm(x)) ⊙ (up · norm(x))). */
#include "model/step.h"

sprat_status sprat__ffn(struct sprat__step *step, uint32_t layer)
{
    const struct sprat__layer *weights = &step->model->layers[layer];
    size_t n_embd = step->model->config.n_embd, n_ff = step->model->config.n_ff;
    const struct sprat__input outer = {step->x, n_embd, &weights->ffn_norm, step->normed};
    const struct sprat__product gated = {.weight = &weights->gate,
                                         .y = step->gate,
                                         .y_stride = n_ff,
                                         .factor = &weights->up,
                                         .factor_y = step->up};
    SPRAT_TRY(sprat__linear(step, &outer, &gated, 1));
    const struct sprat__input inner = {.x = step->gate, .x_stride = n_ff};
    const struct sprat__product down = {
        .weight = &weights->down, .y = step->normed, .y_stride = n_embd, .sum = step->x};
    return sprat__linear(step, &inner, &down, 1);
}
