/* The vocabulary for NEON with the dot product of Armv8.4 (FEAT_DotProd), which neon.c and i8mm.c share: sixteen lanes are four
 * registers. Included inside their target regions. */

typedef struct {
    float32x4_t a, b, c, d;
} vf;
typedef struct {
    int32x4_t a, b, c, d;
} vi;
typedef vi vw;
typedef int8x16_t vq;
typedef int32x4_t vp;
#define PARTS 4
#define PART_ROWS 4
typedef struct {
    vp codes[4], factors;
} vp_group;

#define EACH1(f, x) {f((x).a), f((x).b), f((x).c), f((x).d)}
#define EACH2(f, x, y) {f((x).a, (y).a), f((x).b, (y).b), f((x).c, (y).c), f((x).d, (y).d)}
#define EACH3(f, x, y, z) {f((x).a, (y).a, (z).a), f((x).b, (y).b, (z).b), f((x).c, (y).c, (z).c), f((x).d, (y).d, (z).d)}

PHI_INLINE vf vf_set(float x) {
    float32x4_t four = vdupq_n_f32(x);
    return (vf){four, four, four, four};
}
PHI_INLINE vf vf_load(const float *p) { return (vf){vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)}; }
PHI_INLINE void vf_store(float *p, vf x) {
    vst1q_f32(p, x.a);
    vst1q_f32(p + 4, x.b);
    vst1q_f32(p + 8, x.c);
    vst1q_f32(p + 12, x.d);
}
PHI_INLINE float32x4_t of_halves(uint16x4_t x) { return vcvt_f32_f16(vreinterpret_f16_u16(x)); }
PHI_INLINE uint16x4_t to_halves(float32x4_t x) { return vreinterpret_u16_f16(vcvt_f16_f32(x)); }
PHI_INLINE vf vf_load_half(const uint16_t *p) {
    uint16x8_t low = vld1q_u16(p), high = vld1q_u16(p + 8);
    return (vf){of_halves(vget_low_u16(low)), of_halves(vget_high_u16(low)), of_halves(vget_low_u16(high)),
                of_halves(vget_high_u16(high))};
}
PHI_INLINE void vf_store_half(uint16_t *p, vf x) {
    vst1q_u16(p, vcombine_u16(to_halves(x.a), to_halves(x.b)));
    vst1q_u16(p + 8, vcombine_u16(to_halves(x.c), to_halves(x.d)));
}
PHI_INLINE vf vf_load_bytes(const int8_t *p) {
    int8x16_t bytes = vld1q_s8(p);
    int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_s8(vget_high_s8(bytes));
    return (vf){vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))), vcvtq_f32_s32(vmovl_s16(vget_high_s16(low))),
                vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))), vcvtq_f32_s32(vmovl_s16(vget_high_s16(high)))};
}
PHI_INLINE vf vf_add(vf x, vf y) { return (vf)EACH2(vaddq_f32, x, y); }
PHI_INLINE vf vf_sub(vf x, vf y) { return (vf)EACH2(vsubq_f32, x, y); }
PHI_INLINE vf vf_mul(vf x, vf y) { return (vf)EACH2(vmulq_f32, x, y); }
PHI_INLINE vf vf_div(vf x, vf y) { return (vf)EACH2(vdivq_f32, x, y); }
PHI_INLINE vf vf_fma(vf x, vf y, vf z) { return (vf)EACH3(vfmaq_f32, z, x, y); }
/* The second operand unless the first is larger or smaller, as on x86: NEON's own instructions return NaN if either is. */
PHI_INLINE float32x4_t larger(float32x4_t x, float32x4_t y) { return vbslq_f32(vcgtq_f32(x, y), x, y); }
PHI_INLINE float32x4_t smaller(float32x4_t x, float32x4_t y) { return vbslq_f32(vcltq_f32(x, y), x, y); }
PHI_INLINE vf vf_max(vf x, vf y) { return (vf)EACH2(larger, x, y); }
PHI_INLINE vf vf_min(vf x, vf y) { return (vf)EACH2(smaller, x, y); }
PHI_INLINE vf vf_abs(vf x) { return (vf)EACH1(vabsq_f32, x); }
PHI_INLINE vf vf_lanes(void) { return (vf){{0, 1, 2, 3}, {4, 5, 6, 7}, {8, 9, 10, 11}, {12, 13, 14, 15}}; }
PHI_INLINE vf vf_where_less(vf p, vf q, vf x, vf y) {
    return (vf){vbslq_f32(vcltq_f32(p.a, q.a), x.a, y.a), vbslq_f32(vcltq_f32(p.b, q.b), x.b, y.b),
                vbslq_f32(vcltq_f32(p.c, q.c), x.c, y.c), vbslq_f32(vcltq_f32(p.d, q.d), x.d, y.d)};
}
PHI_INLINE float vf_lane_max(vf x) { return vmaxvq_f32(larger(larger(x.a, x.b), larger(x.c, x.d))); }
PHI_INLINE float vf_lane_sum(vf x) {
    float32x4_t four = vaddq_f32(vaddq_f32(x.a, x.c), vaddq_f32(x.b, x.d));
    return vpadds_f32(vadd_f32(vget_low_f32(four), vget_high_f32(four)));
}

PHI_INLINE vi vi_set(int32_t x) {
    int32x4_t four = vdupq_n_s32(x);
    return (vi){four, four, four, four};
}
PHI_INLINE vi vi_add(vi x, vi y) { return (vi)EACH2(vaddq_s32, x, y); }
PHI_INLINE int32_t vi_lane_sum(vi x) { return vaddvq_s32(vaddq_s32(vaddq_s32(x.a, x.b), vaddq_s32(x.c, x.d))); }
PHI_INLINE void vi_store_bytes(int8_t *p, vi x) {
    int16x8_t low = vcombine_s16(vmovn_s32(x.a), vmovn_s32(x.b)), high = vcombine_s16(vmovn_s32(x.c), vmovn_s32(x.d));
    vst1q_s8(p, vcombine_s8(vmovn_s16(low), vmovn_s16(high)));
}
PHI_INLINE vf vf_of(vi x) { return (vf)EACH1(vcvtq_f32_s32, x); }
PHI_INLINE vi vf_round(vf x) { return (vi)EACH1(vcvtnq_s32_f32, x); }
PHI_INLINE float32x4_t times_power(float32x4_t p, int32x4_t n) {
    return vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(p), vshlq_n_s32(n, 23)));
}
PHI_INLINE vf vf_times_power(vf p, vi n) { return (vf)EACH2(times_power, p, n); }

#define VALUE_VECTORS 1
typedef uint8_t vweight;
PHI_INLINE void vi_store_weights(vweight *p, vi x) { vi_store_bytes((int8_t *)p, x); }
/* Four positions side by side for each dimension. */
PHI_INLINE void vw_load_values(const int8_t *p, size_t stride, vw values[VALUE_VECTORS]) {
    int8x16_t x[4];
    for (int i = 0; i < 4; i++) x[i] = vld1q_s8(p + (size_t)i * stride);
    int16x8_t low[2], high[2];
    for (int i = 0; i < 2; i++) {
        low[i] = vreinterpretq_s16_s8(vzip1q_s8(x[2 * i], x[2 * i + 1]));
        high[i] = vreinterpretq_s16_s8(vzip2q_s8(x[2 * i], x[2 * i + 1]));
    }
    values[0] = (vw){vreinterpretq_s32_s16(vzip1q_s16(low[0], low[1])), vreinterpretq_s32_s16(vzip2q_s16(low[0], low[1])),
                     vreinterpretq_s32_s16(vzip1q_s16(high[0], high[1])), vreinterpretq_s32_s16(vzip2q_s16(high[0], high[1]))};
}
#ifdef UNSIGNED_BY_SIGNED
PHI_INLINE vi vi_weigh(vi sum, const vw values[VALUE_VECTORS], const vweight weights[4]) {
    uint32_t four;
    memcpy(&four, weights, 4);
    uint8x16_t w = vreinterpretq_u8_u32(vdupq_n_u32(four));
#define WEIGH(sum, v) vusdotq_s32(sum, w, vreinterpretq_s8_s32(v))
    return (vi)EACH2(WEIGH, sum, values[0]);
#undef WEIGH
}
#else
/* Weights are the sum of two signed bytes. */
PHI_INLINE vi vi_weigh(vi sum, const vw values[VALUE_VECTORS], const vweight weights[4]) {
    uint32_t four;
    memcpy(&four, weights, 4);
    uint8x16_t w = vreinterpretq_u8_u32(vdupq_n_u32(four)), half = vshrq_n_u8(w, 1);
    int8x16_t x = vreinterpretq_s8_u8(half), y = vreinterpretq_s8_u8(vsubq_u8(w, half));
#define WEIGH(sum, v) vdotq_s32(vdotq_s32(sum, vreinterpretq_s8_s32(v), x), vreinterpretq_s8_s32(v), y)
    return (vi)EACH2(WEIGH, sum, values[0]);
#undef WEIGH
}
#endif

PHI_INLINE vq vq_load(const int8_t *q) {
    int32_t four;
    memcpy(&four, q, 4);
    return vreinterpretq_s8_s32(vdupq_n_s32(four));
}
/* Four rows: signed by signed bytes, exactly. */
PHI_INLINE int32x4_t dot(int32x4_t sum, int32x4_t w, vq q) { return vdotq_s32(sum, vreinterpretq_s8_s32(w), q); }
PHI_INLINE vi vi_dot(vi sum, vw w, vq q) {
    return (vi){dot(sum.a, w.a, q), dot(sum.b, w.b, q), dot(sum.c, w.c, q), dot(sum.d, w.d, q)};
}
PHI_INLINE int32x4_t load_bytes(const uint8_t *p) { return vreinterpretq_s32_u8(vld1q_u8(p)); }
PHI_INLINE vw vw_load(const uint8_t *p) {
    return (vw){load_bytes(p), load_bytes(p + 16), load_bytes(p + 32), load_bytes(p + 48)};
}
PHI_INLINE void vw_store(uint8_t *p, vw w) {
    vst1q_u8(p, vreinterpretq_u8_s32(w.a));
    vst1q_u8(p + 16, vreinterpretq_u8_s32(w.b));
    vst1q_u8(p + 32, vreinterpretq_u8_s32(w.c));
    vst1q_u8(p + 48, vreinterpretq_u8_s32(w.d));
}
/* Made signed, which removes the zero point. */
PHI_INLINE vw vw_load_u8(const uint8_t *p) {
    const int32x4_t top = vreinterpretq_s32_u8(vdupq_n_u8(128));
    vw w = vw_load(p);
    return (vw){veorq_s32(w.a, top), veorq_s32(w.b, top), veorq_s32(w.c, top), veorq_s32(w.d, top)};
}
PHI_INLINE vi vi_start_u8(int32_t start) {
    (void)start;
    return vi_set(0);
}
PHI_INLINE vi vi_dot_u8(vi sum, vw w, vq four) { return vi_dot(sum, w, four); }
PHI_INLINE vw vw_load_u7(const int8_t *p) { return vw_load((const uint8_t *)p); }
PHI_INLINE vi vi_start_u7(int32_t start) { return vi_start_u8(start); }
PHI_INLINE vi vi_dot_u7(vi sum, vw w, vq four) { return vi_dot(sum, w, four); }
PHI_INLINE int32x4_t low_codes(int32x4_t pairs) {
    return vreinterpretq_s32_u8(vandq_u8(vreinterpretq_u8_s32(pairs), vdupq_n_u8(15)));
}
PHI_INLINE int32x4_t high_codes(int32x4_t pairs) { return vreinterpretq_s32_u8(vshrq_n_u8(vreinterpretq_u8_s32(pairs), 4)); }
PHI_INLINE void vw_load_nibbles(const uint8_t *p, vw *low, vw *high) {
    vw pairs = vw_load(p);
    *low = (vw)EACH1(low_codes, pairs);
    *high = (vw)EACH1(high_codes, pairs);
}
PHI_INLINE int32x4_t factor_of_four(int32x4_t factors, int g) {
    return vshrq_n_s32(vshlq_s32(factors, vdupq_n_s32(28 - 4 * g)), 28);
}
PHI_INLINE int32x4_t load_factors(const uint8_t *strip, int part) {
    return vreinterpretq_s32_u32(vmovl_u16(vreinterpret_u16_u8(vld1_u8(strip + 8 * part))));
}

PHI_INLINE vi vi_load(const int32_t *p) { return (vi){vld1q_s32(p), vld1q_s32(p + 4), vld1q_s32(p + 8), vld1q_s32(p + 12)}; }
PHI_INLINE vp vp_set(int32_t x) { return vdupq_n_s32(x); }
PHI_INLINE vp vp_add(vp x, vp y) { return vaddq_s32(x, y); }
PHI_INLINE void vp_store(int32_t *p, int part, vp x) { vst1q_s32(p + PART_ROWS * part, x); }
PHI_INLINE vp vp_load(const uint8_t *p, int part) { return load_bytes(p + 4 * PART_ROWS * part); }
PHI_INLINE vp vp_or(vp x, vp y) { return vorrq_s32(x, y); }
PHI_INLINE vp vp_shift_right(vp x, int bits) {
    return vreinterpretq_s32_u16(vshlq_u16(vreinterpretq_u16_s32(x), vdupq_n_s16((int16_t)-bits)));
}
PHI_INLINE vp vp_merge(vp lower, vp third) {
    const int32x4_t two = vreinterpretq_s32_u8(vdupq_n_u8(3)), one = vreinterpretq_s32_u8(vdupq_n_u8(4));
    return vorrq_s32(vandq_s32(lower, two), vandq_s32(third, one));
}
PHI_INLINE vp vp_table(const uint8_t bytes[16]) { return vreinterpretq_s32_u8(vld1q_u8(bytes)); }
PHI_INLINE vp vp_look_up(vp table, vp numbers) {
    return vreinterpretq_s32_u8(vqtbl1q_u8(vreinterpretq_u8_s32(table), vreinterpretq_u8_s32(numbers)));
}
PHI_INLINE vp vp_start_u8(int32_t start) {
    (void)start;
    return vp_set(0);
}
PHI_INLINE vp vp_load_u8(const uint8_t *p, int part) {
    return veorq_s32(load_bytes(p + 4 * PART_ROWS * part), vreinterpretq_s32_u8(vdupq_n_u8(128)));
}
PHI_INLINE vp vp_dot_u8(vp sum, vp w, const int8_t *q) { return dot(sum, w, vq_load(q)); }
PHI_INLINE vp vp_load_factors(const uint8_t *strip, int part, int g) { return factor_of_four(load_factors(strip, part), g); }
PHI_INLINE void vp_load_codes(const uint8_t *strip, int part, int g, vp codes[4], const int tokens) {
    (void)tokens;
    for (int j = 0; j < 4; j += 2) {
        int32x4_t pairs = load_bytes(strip + PHI_Q4_FACTOR_BYTES + 128 * g + 32 * j + 4 * PART_ROWS * part);
        codes[j] = low_codes(pairs);
        codes[j + 1] = high_codes(pairs);
    }
}
PHI_INLINE vp vp_accumulate_group(vp sum, const vp_group *w, const int8_t *q, uint32_t start) {
    vp group = vp_set((int16_t)start);
    int8x16_t x = vld1q_s8(q);
    group = vdotq_laneq_s32(group, vreinterpretq_s8_s32(w->codes[0]), x, 0);
    group = vdotq_laneq_s32(group, vreinterpretq_s8_s32(w->codes[1]), x, 1);
    group = vdotq_laneq_s32(group, vreinterpretq_s8_s32(w->codes[2]), x, 2);
    group = vdotq_laneq_s32(group, vreinterpretq_s8_s32(w->codes[3]), x, 3);
    return vmlaq_s32(sum, group, w->factors);
}
PHI_INLINE void unpack_q4(const uint8_t *strip, uint8_t *to, size_t step, const bool is_signed) {
    (void)is_signed;
    const uint8x16_t bytes = {0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12};
    for (int r = 0; r < 4; r++)
        for (int g = 0; g < 4; g++) {
            int8x16_t f = vqtbl1q_s8(vreinterpretq_s8_s32(factor_of_four(load_factors(strip, r), g)), bytes);
            for (int j = 0; j < 4; j++) {
                uint8x16_t pairs = vld1q_u8(strip + PHI_Q4_FACTOR_BYTES + 64 * (2 * g + j / 2) + 16 * r);
                uint8x16_t codes = j % 2 ? vshrq_n_u8(pairs, 4) : vandq_u8(pairs, vdupq_n_u8(15));
                int8x16_t weights = vmulq_s8(vsubq_s8(vreinterpretq_s8_u8(codes), vdupq_n_s8((int8_t)phi_q4.code_zero_point)),
                                             f);
                vst1q_s8((int8_t *)to + step * (size_t)(4 * g + j) + 16 * r, weights);
            }
        }
}

#define OPAQUE(x) __asm__ volatile("" : "+w"(x) : : "memory")
#define PROBE_CHAINS 4
#define MATMUL_TILES 1
#define ATTENTION_QUERIES 4
#define ATTENTION_TILES 1
