// arch_capture for x86-64; see capture.h. The offsets are those of struct arch_regs.

    .text
    .globl arch_capture
    .hidden arch_capture
    .type arch_capture, @function
    .p2align 4
arch_capture:
    .cfi_startproc
    movq (%rsp), %rax
    leaq 8(%rsp), %rcx
    movq %rax, 0(%rdi)
    movq %rcx, 8(%rdi)
    movq %rbx, 16(%rdi)
    movq %rbp, 24(%rdi)
    movq %r12, 32(%rdi)
    movq %r13, 40(%rdi)
    movq %r14, 48(%rdi)
    movq %r15, 56(%rdi)
    ret
    .cfi_endproc
    .size arch_capture, . - arch_capture

    .section .note.GNU-stack, "", @progbits
