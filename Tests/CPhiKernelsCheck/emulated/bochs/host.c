/* The least a static Linux program needs: an ELF loader, a dozen system calls and page faults, on a bare x86-64 CPU. The
 * program and its command line lie in the ROM; all run in one address space, in ring 0. */
#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORDS 0xffe10000ull         /* the program's arguments, a line of text */
#define PROGRAM 0xffe11000ull       /* the ELF file */
#define STACK_TOP 0x7000000ull
#define ARENA_MEMORY 0x8000000ull   /* what mmap gives out, */
#define ARENA 0x8000000000ull       /* as the program sees it */
enum { ARENA_PAGES = 16384, PAGE = 4096, ENOSYS = 38, ENOMEM = 12 };

static void out(uint16_t port, uint8_t byte) { __asm__ volatile("outb %0, %1" : : "a"(byte), "Nd"(port)); }
static void put(const char *bytes, size_t count) {
    for (size_t i = 0; i < count; i++) out(0xe9, (uint8_t)bytes[i]); /* Bochs prints it */
}
static void say(const char *text) {
    for (; *text; text++) put(text, 1);
}
static void say_hex(uint64_t n) {
    for (int shift = 60; shift >= 0; shift -= 4) put(&"0123456789abcdef"[n >> shift & 15], 1);
}

static _Noreturn void stop(int status) {
    say(status ? "\nexit status 1\n" : "\nexit status 0\n");
    for (const char *word = "Shutdown"; *word; word++) out(0x8900, (uint8_t)*word); /* Bochs ends */
    for (;;) __asm__ volatile("hlt");
}

static void write_msr(uint32_t number, uint64_t value) {
    __asm__ volatile("wrmsr" : : "c"(number), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

void *memset(void *to, int byte, size_t count) {
    void *at = to;
    __asm__ volatile("rep stosb" : "+D"(at), "+c"(count) : "a"(byte) : "memory");
    return to;
}
void *memcpy(void *to, const void *from, size_t count) {
    void *at = to;
    __asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(count) : : "memory");
    return to;
}

/* ---- Pages that can be forbidden ---- */

static _Alignas(4096) uint64_t level3[512], level2[512], level1[ARENA_PAGES];
static size_t arena_used, arena_live;
static uint64_t program_break;

static void map_arena(void) {
    ((uint64_t *)0x1000)[1] = (uint64_t)level3 | 3;
    level3[0] = (uint64_t)level2 | 3;
    for (size_t i = 0; i < ARENA_PAGES / 512; i++) level2[i] = (uint64_t)(level1 + 512 * i) | 3;
}

static int64_t protect(uint64_t address, size_t bytes, uint64_t protection) {
    if (address < ARENA) return 0; /* the program's own constants */
    for (uint64_t at = address; at < address + bytes; at += PAGE) {
        level1[(at - ARENA) / PAGE] = (at - ARENA + ARENA_MEMORY) | (protection & 2) | (protection & 1);
        __asm__ volatile("invlpg (%0)" : : "r"(at) : "memory");
    }
    return 0;
}

static int64_t map(size_t bytes, uint64_t protection) {
    size_t pages = (bytes + PAGE - 1) / PAGE, first = arena_used;
    if (first + pages > ARENA_PAGES) {
        say("host: no memory left to map\n");
        return -ENOMEM;
    }
    arena_used += pages;
    arena_live += pages;
    memset((void *)(ARENA_MEMORY + first * PAGE), 0, pages * PAGE);
    protect(ARENA + first * PAGE, pages * PAGE, protection);
    return (int64_t)(ARENA + first * PAGE);
}

/* Pages come back only when all are: the check gives up its buffers after every case. */
static int64_t unmap(uint64_t address, size_t bytes) {
    size_t pages = (bytes + PAGE - 1) / PAGE;
    protect(address, pages * PAGE, 0);
    arena_live -= pages;
    if (!arena_live) arena_used = 0;
    return 0;
}

/* ---- System calls ---- */

typedef struct {
    void (*handler)(int);
} signal_action;
static void (*handlers[32])(int);

struct vector {
    const char *bytes;
    size_t count;
};

int64_t system_call(uint64_t number, uint64_t a, uint64_t b, uint64_t c) {
    switch (number) {
    case 1: /* write */ put((const char *)b, c); return (int64_t)c;
    case 20: { /* writev */
        int64_t all = 0;
        for (const struct vector *v = (const void *)b; c--; v++) {
            put(v->bytes, v->count);
            all += (int64_t)v->count;
        }
        return all;
    }
    case 9: /* mmap */ return map(b, c);
    case 10: /* mprotect */ return protect(a, b, c);
    case 11: /* munmap */ return unmap(a, b);
    case 12: /* brk */
        if (a) program_break = a;
        return (int64_t)program_break;
    case 13: /* rt_sigaction */
        if (b && a < 32) handlers[a] = ((const signal_action *)b)->handler;
        return 0;
    case 60:
    case 231: /* exit, exit_group */ stop((int)a);
    case 158: /* arch_prctl */
        if (a != 0x1002) return -ENOSYS;
        write_msr(0xc0000100, b); /* FS base */
        return 0;
    case 218: /* set_tid_address */ return 1;
    default: return -ENOSYS;
    }
}

void fault(uint64_t number, uint64_t address) {
    static bool again;
    int signal = number == 6 ? 4 : 11; /* illegal instruction; anything else is a bad address */
    uint64_t page;
    __asm__("mov %%cr2, %0" : "=r"(page));
    say("\nexception ");
    say_hex(number);
    say(" at ");
    say_hex(address);
    say(", page fault address ");
    say_hex(page);
    say("\n");
    if (!again && handlers[signal]) {
        again = true;
        handlers[signal](signal);
    }
    stop(1);
}

uint64_t program_stack;
__asm__("    .text\n"
        "system_call_entry:\n"
        "    mov %rsp, program_stack(%rip)\n"
        "    mov $0x3f0000, %rsp\n"
        "    push %rcx; push %r11; push %rdi; push %rsi; push %rdx; push %r8; push %r9; push %r10\n"
        "    mov %rdx, %rcx; mov %rsi, %rdx; mov %rdi, %rsi; mov %rax, %rdi\n"
        "    call system_call\n"
        "    pop %r10; pop %r9; pop %r8; pop %rdx; pop %rsi; pop %rdi; pop %r11; pop %rcx\n"
        "    mov program_stack(%rip), %rsp\n"
        "    jmp *%rcx\n"
        "    .balign 16\n"
        "fault_entries:\n" /* 16 bytes each; those with an error code have it below the address */
        "    .set n, 0\n"
        "    .rept 32\n"
        "    .balign 16\n"
        "    .if n == 8 || n == 10 || n == 11 || n == 12 || n == 13 || n == 14 || n == 17\n"
        "    pop %rax\n"
        "    .endif\n"
        "    pop %rsi\n"
        "    mov $n, %edi\n"
        "    jmp fault_common\n"
        "    .set n, n + 1\n"
        "    .endr\n"
        "fault_common:\n"
        "    and $-16, %rsp\n"
        "    call fault\n");
extern const char system_call_entry[], fault_entries[];

static void catch_faults(void) {
    static struct __attribute__((packed)) {
        uint16_t low, selector;
        uint8_t stack, type;
        uint16_t middle;
        uint32_t high, zero;
    } gates[32];
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } table = {sizeof gates - 1, (uint64_t)gates};
    for (size_t i = 0; i < 32; i++) {
        uint64_t at = (uint64_t)fault_entries + 16 * i;
        gates[i].low = (uint16_t)at;
        gates[i].selector = 8;
        gates[i].type = 0x8e;
        gates[i].middle = (uint16_t)(at >> 16);
        gates[i].high = (uint32_t)(at >> 32);
    }
    __asm__ volatile("lidt %0" : : "m"(table));
}

/* ---- The program ---- */

static uint64_t words[32];  /* what a Linux program finds on its stack: argument count, arguments, environment, auxiliary
                             * vector */

__attribute__((section(".start"))) void start(void) {
    const Elf64_Ehdr *elf = (const void *)PROGRAM;
    const Elf64_Phdr *part = (const void *)(PROGRAM + elf->e_phoff);
    uint64_t headers = 0;
    for (int i = 0; i < elf->e_phnum; i++) {
        if (part[i].p_type != PT_LOAD) continue;
        memcpy((void *)part[i].p_vaddr, (const void *)(PROGRAM + part[i].p_offset), part[i].p_filesz);
        if (part[i].p_offset == 0) headers = part[i].p_vaddr + elf->e_phoff;
        program_break = (part[i].p_vaddr + part[i].p_memsz + PAGE - 1) / PAGE * PAGE;
    }
    catch_faults();
    map_arena();
    write_msr(0xc0000081, 8ull << 32);                      /* STAR: the segments stay as they are */
    write_msr(0xc0000082, (uint64_t)system_call_entry);     /* LSTAR */
    write_msr(0xc0000084, 0);                               /* FMASK */

    size_t n = 1, count = 1;
    words[n++] = (uint64_t)"check";
    static char line[200];
    memcpy(line, (const void *)WORDS, sizeof line - 1);
    for (char *text = line; *text;) {
        while (*text == ' ' || *text == '\n') *text++ = 0;
        if (*text && count < 8) words[n++] = (uint64_t)text, count++;
        while (*text && *text != ' ' && *text != '\n') text++;
    }
    words[0] = count;
    n += 2; /* the ends of arguments and environment */
    const uint64_t auxiliary[] = {AT_PHDR, headers,  AT_PHENT,     elf->e_phentsize, AT_PHNUM, elf->e_phnum, AT_PAGESZ,
                                  PAGE,    AT_ENTRY, elf->e_entry, AT_RANDOM,        PROGRAM,  AT_NULL,      0};
    memcpy(words + n, auxiliary, sizeof auxiliary);
    memcpy((void *)STACK_TOP, words, sizeof words);
    __asm__ volatile("mov %0, %%rsp\n xor %%edx, %%edx\n jmp *%1" : : "r"(STACK_TOP), "r"(elf->e_entry) : "rdx");
}
