/* AMX's part of a product: the dots of up to 16 tokens, rows of a tile register, with 16 rows of weights, its columns. The
 * file's order of weights is that of AMX's second operand, 4 columns of 16 rows in 64 bytes. */
#define MATMUL_DOT_UNIT

/* Tile registers are numbered by constants: 0 to 2 dots, 3 activations of `tokens` tokens, 4 to 6 weights. */
PHI_INLINE void dot_unit_begin(size_t tokens) {
    struct {
        uint8_t palette, start, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } shape = {.palette = 1};
    for (int i = 0; i < 7; i++) {
        shape.bytes[i] = i == 3 ? PHI_GROUP : 64;
        shape.rows[i] = (uint8_t)(i < 4 ? tokens : PHI_GROUP / 4);
    }
    _tile_loadconfig(&shape);
}
PHI_INLINE void dot_unit_end(void) { _tile_release(); }

/* Of one group: activations in register 3 with `tiles` tiles of weights, signed. */
#define DOT_UNIT_TILE(I) \
    do { \
        if (I >= tiles) break; \
        _tile_loadd(4 + I, weights[0][I], 64 * MATMUL_TILES); \
        _tile_zero(I); \
        _tile_dpbssd(I, 3, 4 + I); \
        _tile_stored(I, dots[I], 64); \
    } while (0)
PHI_INLINE void dot_unit_make(const int8_t *q, uint8_t (*weights)[MATMUL_TILES][64],
                               int32_t (*dots)[PHI_TOKEN_TILE][PHI_TILE_ROWS], const int tiles) {
    _tile_loadd(3, q, PHI_GROUP);
    DOT_UNIT_TILE(0);
    DOT_UNIT_TILE(1);
    DOT_UNIT_TILE(2);
}
PHI_INLINE vi vi_load(const int32_t *p) { return _mm512_load_si512(p); }
PHI_INLINE vw vw_without_zero(vw w, const bool is_q8) {
    return is_q8 ? _mm512_xor_si512(w, _mm512_set1_epi8((char)PHI_ZERO_Q8)) : _mm512_sub_epi8(w, _mm512_set1_epi8(PHI_ZERO_Q4));
}
