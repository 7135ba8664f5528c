// arch_signal_return for x86-64; see interrupted.h. Debuggers and unwinders know a signal's frame by
// these very bytes.

    .text
    .globl arch_signal_return
    .hidden arch_signal_return
    .type arch_signal_return, @function
    .p2align 4
    nop // an unwinder looks at the byte before a return address
arch_signal_return:
    movq $15, %rax // rt_sigreturn
    syscall
    .size arch_signal_return, . - arch_signal_return

    .section .note.GNU-stack, "", @progbits
