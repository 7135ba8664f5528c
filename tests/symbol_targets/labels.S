// Code as people write it by hand: symbols without a size, labels inside of functions.
    .text
    .globl bare_global
    .type bare_global, @function
bare_global:
    nop
    nop
bare_label:
    nop
    nop
    .globl sized
    .type sized, @function
sized:
    nop
inner_label:
    nop
    nop
    nop
    .size sized, . - sized
    // No symbol covers these.
    .fill 4, 1, 0x90
    .weak shared_weak
    .type shared_weak, @function
    .type shared_local, @function
    .globl shared_global
    .type shared_global, @function
shared_local:
shared_weak:
shared_global:
    nop
    nop
    .size shared_local, 2
    .size shared_weak, 2
    .size shared_global, 2
    .globl versioned_function
    .type versioned_function, @function
    .symver versioned_function, versioned@@LABELS_1
versioned_function:
    nop
    .size versioned_function, 1
last_bare:
    nop
    nop

    .section .note.GNU-stack, "", @progbits
