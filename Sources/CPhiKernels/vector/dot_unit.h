/* The GEMM of a dot unit (AMX), included by gemm.h where there is one. */

/* Dots of a token tile that have not been added to the sums yet. */
typedef struct {
    const int32_t (*dots)[PHI_TOKEN_TILE][PHI_TILE_ROWS];
    const float *scales;
    size_t at, tokens, added;
} waiting_dots;

PHI_INLINE void add_waiting(const phi_matmul_args *a, unpacked *r, waiting_dots *w, size_t until, const int tiles,
                            const int kind) {
    for (; w->added < until; w->added++) {
        vf x = vf_set(w->scales[w->added]);
        EACH_TILE add_dot(a, r, w->at + w->added, (size_t)i, vi_load(w->dots[i][w->added]), x, kind);
    }
}

/* Accumulates the unpacked block in the sums of all tokens up to `end`, by a unit that computes the dots of a whole token tile from
 * signed weights. While it computes those of one, those of the one before are added. */
PHI_INLINE void accumulate_block_by_unit(const phi_matmul_args *a, unpacked *r, size_t block, size_t end, const int tiles,
                                         prefetcher *ahead, const int kind) {
    waiting_dots waiting = {0};
    size_t strips = phi_block_strips(a->width, block), step = PHI_TOKEN_TILE / strips;
    int32_t (*dots)[PHI_TOKEN_TILE][PHI_TILE_ROWS] = r->dots[0];
    for (size_t first = r->token; first < end; first += PHI_TOKEN_TILE) {
        size_t n = phi_tile_tokens(a->tokens, first);
        token_run run = run_at(a, first, 0, n, block);
        const int8_t *q = run.q;
        if (r->shape != n) {
            add_waiting(a, r, &waiting, waiting.tokens, tiles, kind);
            dot_unit_begin(r->shape = n);
        }
        if (block + 2 == phi_blocks(a->width)) prefetch_output(a, r->tile, first, first + n, tiles);
        dot_unit_zero(tiles);
        for (size_t s = 0; s < strips; s++, q += PHI_STRIP_COLUMNS * n) {
            prefetch_some(ahead, tiles);
            dot_unit_add(q, r->weights[16 * s], tiles);
            if (waiting.tokens) add_waiting(a, r, &waiting, s + 1 < strips ? (s + 1) * step : waiting.tokens, tiles, kind);
        }
        dot_unit_store(dots, tiles);
        waiting = (waiting_dots){(const void *)dots, run.scales, first - r->token, n, 0};
        dots = dots == r->dots[0] ? r->dots[1] : r->dots[0];
    }
    add_waiting(a, r, &waiting, waiting.tokens, tiles, kind);
}
