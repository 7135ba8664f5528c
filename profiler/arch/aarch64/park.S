// The entries of taskprof_park and its kin: they save the registers that their caller will have
// once they have returned, as a struct arch_regs, and hand its address over as one more argument.
// C can't do this: by the time that its first statement runs, the compiler may have used them.

// struct arch_regs is 14 words, 112 bytes; 16 more hold our own x29 and x30.
#define FRAME 128
#define REGS 16

.macro park_entry name, target, argument
        .globl  \name
        .type   \name, %function
        .p2align 4
\name:
        .cfi_startproc
        mov     x9, sp
        stp     x29, x30, [sp, #-FRAME]!
        .cfi_def_cfa_offset FRAME
        .cfi_offset 29, -FRAME
        .cfi_offset 30, -FRAME + 8
        stp     x30, x9, [sp, #REGS]            // pc, sp: where and as our caller goes on
        stp     x19, x20, [sp, #REGS + 16]
        stp     x21, x22, [sp, #REGS + 32]
        stp     x23, x24, [sp, #REGS + 48]
        stp     x25, x26, [sp, #REGS + 64]
        stp     x27, x28, [sp, #REGS + 80]
        stp     x29, x30, [sp, #REGS + 96]
        add     \argument, sp, #REGS
        mov     x29, sp
        bl      \target
        ldp     x29, x30, [sp], #FRAME
        .cfi_restore 29
        .cfi_restore 30
        .cfi_def_cfa_offset 0
        ret
        .cfi_endproc
        .size   \name, . - \name
.endm

        .text
        .hidden park_enter, park_enter_call, park_enter_select, park_enter_task, park_enter_task_select
        park_entry taskprof_park, park_enter, x2
        park_entry taskprof_park_call, park_enter_call, x2
        park_entry taskprof_park_select, park_enter_select, x2
        park_entry taskprof_task_park, park_enter_task, x3
        park_entry taskprof_task_park_select, park_enter_task_select, x3

        .section .note.GNU-stack, "", %progbits
