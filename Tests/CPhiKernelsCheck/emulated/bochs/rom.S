/* What the emulated CPU finds at reset, instead of a BIOS: the last 64 KiB of the ROM, which end both the first megabyte and
 * the first four gigabytes. Goes to 64 bits with all memory mapped where it is, switches every vector register on, copies
 * host.c out of the ROM and jumps to it. */
    .code16
    .section .text
    .globl _start
_start:
    cli
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    inb $0x92, %al              /* address line 20 */
    orb $2, %al
    outb %al, $0x92

    /* Page tables at 0x1000: one of level 4, one of level 3 with four pages of a gigabyte. */
    movw $0x1000, %di
    xorl %eax, %eax
    movw $2048, %cx
    rep stosl
    movl $0x2003, 0x1000
    movw $0x2000, %di
    movl $0x83, %eax
1:  movl %eax, (%di)
    addw $8, %di
    addl $0x40000000, %eax
    jnc 1b

    movl $0x1000, %eax
    movl %eax, %cr3
    movl $0x40620, %eax         /* PAE, OSFXSR, OSXMMEXCPT, OSXSAVE */
    movl %eax, %cr4
    movl $0xc0000080, %ecx      /* EFER: long mode, system calls */
    movl $0x101, %eax
    xorl %edx, %edx
    wrmsr
    lgdtl %cs:gdt_register
    movl $0x80010023, %eax      /* PG, WP, NE, MP, PE */
    movl %eax, %cr0
    ljmpl $8, $long_mode + 0xf0000

    .code64
long_mode:
    movw $16, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl $0xd, %eax             /* XCR0: what the CPU has of x87, SSE, AVX and AVX-512 */
    xorl %ecx, %ecx
    cpuid
    andl $0xe7, %eax
    xorl %ecx, %ecx
    xorl %edx, %edx
    xsetbv
    movl $0x400000, %esp
    movl $0xffe00000, %esi      /* the ROM begins with host.c */
    movl $0x100000, %edi
    movl $0x10000, %ecx
    rep movsb
    movl $0x100000, %eax
    jmp *%rax

    .balign 8
gdt:
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdt_register:
    .word . - gdt - 1
    .long gdt + 0xf0000

    .section .reset, "ax"
    .code16
    ljmpw $0xf000, $_start
    .balign 16
