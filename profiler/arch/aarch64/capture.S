// arch_capture for aarch64; see capture.h. The offsets are those of struct arch_regs.

    .text
    .globl arch_capture
    .hidden arch_capture
    .type arch_capture, %function
    .p2align 4
arch_capture:
    .cfi_startproc
    mov x9, sp
    stp x30, x9, [x0, #0]
    stp x19, x20, [x0, #16]
    stp x21, x22, [x0, #32]
    stp x23, x24, [x0, #48]
    stp x25, x26, [x0, #64]
    stp x27, x28, [x0, #80]
    stp x29, x30, [x0, #96]
    ret
    .cfi_endproc
    .size arch_capture, . - arch_capture

    .section .note.GNU-stack, "", %progbits
