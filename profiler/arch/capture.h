// The registers of the caller, as they will be once the callee has returned.

#pragma once

#include "profiler/arch/regs.h"

// Fills *regs with the registers of the function that calls this: its pc behind the call, its sp,
// its callee-saved registers. The values are good for unwinding as long as that frame lives.
// Written in assembly (capture.S of the architecture); a few stores, no call.
void arch_capture(struct arch_regs *regs);
