/* The machine's two limits, measured with the instructions and threads that the kernels use. */

static void probe_read(const void *raw, size_t begin, size_t end) {
    const phi_probe_args *a = raw;
    for (size_t item = begin; item < end; item++) {
        const uint8_t *p = (const uint8_t *)a->memory + item * PHI_PROBE_BYTES;
        vi sum[4] = {vi_set(0), vi_set(0), vi_set(0), vi_set(0)};
        for (size_t i = 0; i < PHI_PROBE_BYTES; i += 256) {
            prefetch(p + i, 256); /* as GEMV does */
            for (size_t j = 0; j < 4; j++) sum[j] = vi_add(sum[j], vw_load_u8(p + i + 64 * j));
        }
        a->sink[item] = vi_lane_sum(vi_add(vi_add(sum[0], sum[1]), vi_add(sum[2], sum[3])));
    }
}

static void probe_dot(const void *raw, size_t begin, size_t end) {
    const phi_probe_args *a = raw;
    vw low, high;
    vw_load_nibbles(a->memory, &low, &high);
    vq four = vq_load(a->memory);
    for (size_t item = begin; item < end; item++) {
        vi sum[PROBE_CHAINS];
        for (int i = 0; i < PROBE_CHAINS; i++) sum[i] = vi_set(i);
        for (size_t n = 0; n < PHI_PROBE_DOTS; n += PROBE_CHAINS)
            for (int i = 0; i < PROBE_CHAINS; i++) {
                OPAQUE(four); /* so that no part of a dot can be optimised away */
                sum[i] = vi_dot_u7(sum[i], low, four);
            }
        vi all = sum[0];
        for (int i = 1; i < PROBE_CHAINS; i++) all = vi_add(all, sum[i]);
        a->sink[item] = vi_lane_sum(all);
    }
}
