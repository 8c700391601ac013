/* Owns the gated feed-forward part: x += down · (SiLU(gate · norm(x)) ⊙ (up · norm(x))). */
#include "model/step.h"

sprat_status sprat__ffn_bind(struct sprat__model *model, uint32_t layer, struct sprat__err *err)
{
    uint64_t n_embd = model->config.n_embd, n_ff = model->config.n_ff;
    struct sprat__layer *w = &model->layers[layer];
    SPRAT_TRY(
        sprat__bind_layer(model, layer, "ffn_gate.weight", n_embd, n_ff, false, &w->gate, err));
    SPRAT_TRY(sprat__bind_layer(model, layer, "ffn_up.weight", n_embd, n_ff, false, &w->up, err));
    return sprat__bind_layer(model, layer, "ffn_down.weight", n_ff, n_embd, false, &w->down, err);
}

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
