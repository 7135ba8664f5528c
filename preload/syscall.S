// syscall(): see syscall.c. Every register but those that a call may change is as the caller left
// it when the C library's own is reached.

        .text
        .hidden syscall_futex, syscall_find
        .globl  syscall
        .p2align 4
#if defined(__x86_64__)
#define SYS_FUTEX 202
#define SYS_FUTEX_WAITV 449
        .type   syscall, @function
syscall:
        .cfi_startproc
        endbr64
        cmpq    $SYS_FUTEX, %rdi
        je      syscall_futex
        cmpq    $SYS_FUTEX_WAITV, %rdi
        je      syscall_futex
        pushq   %rdi
        .cfi_adjust_cfa_offset 8
        pushq   %rsi
        .cfi_adjust_cfa_offset 8
        pushq   %rdx
        .cfi_adjust_cfa_offset 8
        pushq   %rcx
        .cfi_adjust_cfa_offset 8
        pushq   %r8
        .cfi_adjust_cfa_offset 8
        pushq   %r9
        .cfi_adjust_cfa_offset 8
        subq    $8, %rsp                // the stack is aligned to 16 at a call
        .cfi_adjust_cfa_offset 8
        call    syscall_find
        addq    $8, %rsp
        .cfi_adjust_cfa_offset -8
        popq    %r9
        .cfi_adjust_cfa_offset -8
        popq    %r8
        .cfi_adjust_cfa_offset -8
        popq    %rcx
        .cfi_adjust_cfa_offset -8
        popq    %rdx
        .cfi_adjust_cfa_offset -8
        popq    %rsi
        .cfi_adjust_cfa_offset -8
        popq    %rdi
        .cfi_adjust_cfa_offset -8
        jmp     *%rax
        .cfi_endproc
        .size   syscall, . - syscall
        .section .note.GNU-stack, "", @progbits
#elif defined(__aarch64__)
#define SYS_FUTEX 98
#define SYS_FUTEX_WAITV 449
        .type   syscall, %function
syscall:
        .cfi_startproc
        cmp     x0, #SYS_FUTEX
        b.eq    syscall_futex
        cmp     x0, #SYS_FUTEX_WAITV
        b.eq    syscall_futex
        stp     x29, x30, [sp, #-80]!
        .cfi_def_cfa_offset 80
        .cfi_offset 29, -80
        .cfi_offset 30, -72
        stp     x0, x1, [sp, #16]
        stp     x2, x3, [sp, #32]
        stp     x4, x5, [sp, #48]
        stp     x6, x7, [sp, #64]
        bl      syscall_find
        mov     x16, x0
        ldp     x0, x1, [sp, #16]
        ldp     x2, x3, [sp, #32]
        ldp     x4, x5, [sp, #48]
        ldp     x6, x7, [sp, #64]
        ldp     x29, x30, [sp], #80
        .cfi_restore 29
        .cfi_restore 30
        .cfi_def_cfa_offset 0
        br      x16
        .cfi_endproc
        .size   syscall, . - syscall
        .section .note.GNU-stack, "", %progbits
#endif
