// The entries of taskprof_park and its kin: they save the registers that their caller will have
// once they have returned, as a struct arch_regs, and hand its address over as one more argument.
// C can't do this: by the time that its first statement runs, the compiler may have used them.

// struct arch_regs is 64 bytes; 8 more keep the stack aligned to 16 at the call.
#define FRAME 72

.macro park_entry name, target, argument
        .globl  \name
        .type   \name, @function
        .p2align 4
\name:
        .cfi_startproc
        endbr64
        movq    (%rsp), %rax            // pc: where our caller goes on
        leaq    8(%rsp), %r11           // sp: as it will be then
        subq    $FRAME, %rsp
        .cfi_adjust_cfa_offset FRAME
        movq    %rax, 0(%rsp)
        movq    %r11, 8(%rsp)
        movq    %rbx, 16(%rsp)
        movq    %rbp, 24(%rsp)
        movq    %r12, 32(%rsp)
        movq    %r13, 40(%rsp)
        movq    %r14, 48(%rsp)
        movq    %r15, 56(%rsp)
        movq    %rsp, \argument
        call    \target
        addq    $FRAME, %rsp
        .cfi_adjust_cfa_offset -FRAME
        ret
        .cfi_endproc
        .size   \name, . - \name
.endm

        .text
        .hidden park_enter, park_enter_call, park_enter_select, park_enter_task, park_enter_task_select
        park_entry taskprof_park, park_enter, %rdx
        park_entry taskprof_park_call, park_enter_call, %rdx
        park_entry taskprof_park_select, park_enter_select, %rdx
        park_entry taskprof_task_park, park_enter_task, %rcx
        park_entry taskprof_task_park_select, park_enter_task_select, %rcx

        .section .note.GNU-stack, "", @progbits
