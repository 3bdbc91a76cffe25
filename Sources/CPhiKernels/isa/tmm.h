/* AMX as a dot unit: dots of up to 16 tokens, rows of a tile register, with 16 rows of weights, its columns. A vw is a row of AMX's
 * second operand. */
#define MATMUL_DOT_UNIT
#define MATMUL_UNIT_TOKENS 6 /* with fewer it has no advantage */

/* Tile registers are numbered by constants: 0 to 2 dots, 3 activations of `tokens` tokens, 4 to 6 weights. */
PHI_INLINE void dot_unit_begin(size_t tokens) {
    struct {
        uint8_t palette, start, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } shape = {.palette = 1};
    for (int i = 0; i < 7; i++) {
        shape.bytes[i] = 64;
        shape.rows[i] = (uint8_t)(i < 4 ? tokens : PHI_STRIP_COLUMNS / 4);
    }
    _tile_loadconfig(&shape);
}
PHI_INLINE void dot_unit_end(void) { _tile_release(); }

#define EACH_DOT_UNIT_TILE(DO) \
    do { \
        DO(0); \
        if (tiles > 1) DO(1); \
        if (tiles > 2) DO(2); \
    } while (0)

PHI_INLINE void dot_unit_zero(const int tiles) {
#define ZERO(I) _tile_zero(I)
    EACH_DOT_UNIT_TILE(ZERO);
#undef ZERO
}
PHI_INLINE void dot_unit_add(const int8_t *q, const uint8_t (*weights)[64], const int tiles) {
    _tile_loadd(3, q, PHI_STRIP_COLUMNS);
#define ADD(I) \
    do { \
        _tile_loadd(4 + I, weights[I], 64 * MATMUL_TILES); \
        _tile_dpbssd(I, 3, 4 + I); \
    } while (0)
    EACH_DOT_UNIT_TILE(ADD);
#undef ADD
}
PHI_INLINE void dot_unit_store(int32_t (*dots)[PHI_TOKEN_TILE][PHI_TILE_ROWS], const int tiles) {
#define STORE(I) _tile_stored(I, dots[I], 64)
    EACH_DOT_UNIT_TILE(STORE);
#undef STORE
}
PHI_INLINE vw vw_signed_u8(vw w) { return _mm512_xor_si512(w, _mm512_set1_epi8((char)phi_q8.zero_point)); }
