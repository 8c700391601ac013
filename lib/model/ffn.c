/* Owns the gated feed-forward part: x += down · (SiLU(gate · norm(x)) ⊙ (up · norm(x))). */
#include "model/step.h"

static void ffn_gate_tile(void *argument, size_t row)
{
    const struct sprat__step *step = argument;
    size_t width = step->model->config.n_ff;
    step->kernels->silu_mul_f32(step->gate + row * width, step->up + row * width, width);
}

sprat_status sprat__ffn(struct sprat__step *step, uint32_t layer)
{
    const struct sprat__layer *weights = &step->model->layers[layer];
    size_t n_embd = step->model->config.n_embd, n_ff = step->model->config.n_ff;
    SPRAT_TRY(sprat__norm(step, &weights->ffn_norm, step->x, step->normed, 1));
    const struct sprat__product inner[] = {{&weights->gate, NULL, step->gate, n_ff, false},
                                           {&weights->up, NULL, step->up, n_ff, false}};
    SPRAT_TRY(sprat__linear(step, inner, 2, step->normed, n_embd));
    SPRAT_TRY(sprat__pool_run(step->pool, ffn_gate_tile, step, step->n, step->cancel));
    const struct sprat__product down = {&weights->down, NULL, step->normed, n_embd, false};
    SPRAT_TRY(sprat__linear(step, &down, 1, step->gate, n_ff));
    return sprat__residual(step, step->normed);
}
