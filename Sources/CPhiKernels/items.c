/* How operations are divided into items, the unit of work that threads claim. */
#include "kernels.h"

/* Enough weights for a few microseconds of work, beside which claiming an item costs nothing. For a GEMV an item may be a single
 * tile, so that threads finish together; for more tokens it is a multiple of three (see MATMUL_TILES). */
static size_t tiles_per_item(const phi_matmul_args *args) {
    bool is_gemv = args->tokens <= PHI_GEMV_TOKENS;
    size_t step = is_gemv ? 1 : 3, bytes = is_gemv ? 48 << 10 : 96 << 10;
    size_t tiles = bytes / args->tile_bytes / step * step;
    return tiles ? tiles : step;
}

static size_t divide_up(size_t n, size_t d) { return (n + d - 1) / d; }

size_t phi_tile_bytes(uint32_t encoding, size_t columns) {
    const phi_encoding *e = phi_encoding_numbered(encoding);
    return e ? phi_encoding_tile_bytes(e, columns) : 0;
}

size_t phi_matmul_items(phi_matmul_args *args, uint32_t encoding) {
    args->tile_bytes = phi_tile_bytes(encoding, args->width);
    size_t tiles = divide_up(args->rows, PHI_TILE_ROWS);
    return divide_up(tiles, tiles_per_item(args)) * divide_up(args->tokens, PHI_TOKEN_BLOCK);
}

phi_matmul_item phi_matmul_item_at(const phi_matmul_args *args, size_t item) {
    size_t tiles = divide_up(args->rows, PHI_TILE_ROWS), run = tiles_per_item(args);
    size_t runs = divide_up(tiles, run);
    size_t tile = item % runs * run, token = item / runs * PHI_TOKEN_BLOCK;
    return (phi_matmul_item){
        .tile = tile,
        .tile_end = phi_min(tile + run, tiles),
        .token = token,
        .token_end = phi_min(token + PHI_TOKEN_BLOCK, args->tokens),
    };
}

size_t phi_quantise_items(const phi_quantise_args *args) {
    return divide_up(args->tokens, PHI_TOKEN_TILE) * divide_up(args->width, PHI_QUANTISE_CHUNK);
}

phi_quantise_item phi_quantise_item_at(const phi_quantise_args *args, size_t item) {
    enum { RUN = PHI_QUANTISE_CHUNK / PHI_BLOCK_COLUMNS };
    size_t chunks = divide_up(args->width, PHI_QUANTISE_CHUNK), blocks = phi_blocks(args->width);
    size_t first = item / chunks * PHI_TOKEN_TILE, block = item % chunks * RUN;
    return (phi_quantise_item){
        .first = first,
        .tokens = phi_tile_tokens(args->tokens, first),
        .block = block,
        .block_end = phi_min(block + RUN, blocks),
    };
}

size_t phi_attention_items(const phi_attention_args *args) { return args->heads * divide_up(args->tokens, PHI_QUERY_BLOCK); }

/* Groups of heads go through one run of queries after the other: their keys and values stay in the second-level cache, and their queries
 * are pieces of rows long enough for the hardware to prefetch. */
phi_attention_item phi_attention_item_at(const phi_attention_args *args, size_t item) {
    enum { TOGETHER = 8 };
    size_t runs = divide_up(args->tokens, PHI_QUERY_BLOCK);
    size_t first = item / (runs * TOGETHER) * TOGETHER, number = item - first * runs;
    size_t heads = phi_min(args->heads - first, TOGETHER);
    size_t token = number / heads * PHI_QUERY_BLOCK;
    return (phi_attention_item){
        .head = first + number % heads,
        .token = token,
        .token_end = phi_min(token + PHI_QUERY_BLOCK, args->tokens),
    };
}

size_t phi_quantise_columns_items(size_t columns) { return divide_up(columns, PHI_TILE_ROWS); }

/* Rows end with their block. */
size_t phi_gram_items(const phi_gram_args *args) {
    size_t last = args->columns % args->block;
    return args->columns / args->block * (args->block / PHI_GRAM_ROWS) + divide_up(last, PHI_GRAM_ROWS);
}

phi_gram_item phi_gram_item_at(const phi_gram_args *args, size_t item) {
    size_t row = item * PHI_GRAM_ROWS, block = row / args->block * args->block;
    size_t end = phi_min(block + args->block, args->columns);
    return (phi_gram_item){
        .row = row, .row_end = phi_min(row + PHI_GRAM_ROWS, end), .column = args->upper ? row : block, .column_end = end};
}

size_t phi_gelu_items(const phi_gelu_args *args, size_t tokens) { return tokens * divide_up(args->columns, PHI_GELU_CHUNK); }
