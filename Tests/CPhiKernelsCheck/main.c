/* check [-s SEED] [-f SET] [SET ...]: checks the instruction sets that run here. When sets are named, those and the reference
 * must run here and no others. -f adds one that the CPU does not claim to have. Exit status 0 when all is as it must be. */
#include "CPhiSupport.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <CPhiKernelCases.h>

static void say(void *context, const char *line) {
    (void)context;
    printf("FAILED %s\n", line);
}

static void put(const char *text) {
    if (write(STDOUT_FILENO, text, strlen(text)) < 0) _exit(2);
}

static void died(int signal) {
    put("FAILED: the process died in ");
    put(phi_check_current);
    put(signal == SIGILL ? ": illegal instruction\n" : ": bad address\n");
    _exit(1);
}

/* SHA-256 chooses instructions of its own. */
static bool sha256_is_right(void) {
    static const uint8_t digest[32] = {0x24, 0x8d, 0x6a, 0x61, 0xd2, 0x06, 0x38, 0xb8, 0xe5, 0xc0, 0x26,
                                       0x93, 0x0c, 0x3e, 0x60, 0x39, 0xa3, 0x3c, 0xe4, 0x59, 0x64, 0xff,
                                       0x21, 0x67, 0xf6, 0xec, 0xed, 0xd4, 0x19, 0xdb, 0x06, 0xc1};
    uint8_t found[32];
    phi_sha256 hash;
    strcpy(phi_check_current, "sha256");
    phi_sha256_begin(&hash);
    phi_sha256_add(&hash, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56); /* of FIPS 180-4's examples */
    phi_sha256_end(&hash, found);
    return memcmp(digest, found, sizeof found) == 0;
}

/* The bit of an instruction set by its name; ends the program where there is none. */
static uint64_t set_named(const char *name) {
    for (size_t s = 0; s < phi_instruction_set_count(); s++)
        if (!strcmp(name, phi_instruction_set(s)->name)) return (uint64_t)1 << s;
    printf("FAILED: no instruction set is called '%s'\n", name);
    exit(1);
}

int main(int count, char **words) {
    size_t passed = 0, failed = 0, sets = phi_instruction_set_count();
    uint64_t seed = 1, here = phi_check_sets(), forced = 0, named = 0;
    for (int i = 1; i < count; i++) {
        if (!strcmp(words[i], "-s") && i + 1 < count) seed = strtoull(words[++i], NULL, 10);
        else if (!strcmp(words[i], "-f") && i + 1 < count) forced |= set_named(words[++i]);
        else named |= set_named(words[i]);
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGILL, died);
    signal(SIGSEGV, died);
    signal(SIGBUS, died);

    named |= (uint64_t)(named != 0) << (sets - 1);
    for (size_t s = 0; s < sets && named; s++) {
        bool runs = here >> s & 1;
        if (runs == (named >> s & 1)) continue;
        printf("FAILED: %s %s\n", phi_instruction_set(s)->name, runs ? "runs here and was not named" : "does not run here");
        failed++;
    }

    uint64_t digest = 0;
    phi_check_result all[16] = {{0, 0}}, now[16];
    if (sets > sizeof all / sizeof *all) return 2;
    phi_check_options options = {.seed = seed, .sets = here | forced, .report = say};
    for (size_t o = 0; o < phi_operation_count(); o++) {
        memset(now, 0, sizeof now);
        for (size_t index = 0; index < phi_case_count(o); index++) {
            phi_case_shape shape = phi_case_at(o, index);
            digest = digest * 31 + phi_check(o, &shape, &options, now);
        }
        printf("%-14s", phi_operation_name(o));
        for (size_t s = 0; s < sets; s++) {
            all[s].passed += now[s].passed;
            all[s].failed += now[s].failed;
            if (now[s].passed + now[s].failed) printf("  %s %zu", phi_instruction_set(s)->name, now[s].passed);
            if (now[s].failed) printf(" (%zu FAILED)", now[s].failed);
        }
        printf("\n");
    }
    for (size_t s = 0; s < sets; s++) {
        if (!((here | forced) >> s & 1)) continue;
        printf("%-10s %zu passed, %zu failed\n", phi_instruction_set(s)->name, all[s].passed, all[s].failed);
        passed += all[s].passed;
        failed += all[s].failed;
    }
    if (sha256_is_right()) passed++;
    else printf("FAILED sha256\n"), failed++;
    printf("seed %llu, digest of the reference %016llx\n", (unsigned long long)seed, (unsigned long long)digest);
    printf("%zu passed, %zu failed\n", passed, failed);
    return failed ? 1 : 0;
}
