// The registers that an unwinder starts from, for the architecture being built.

#pragma once

#if defined(__x86_64__)
#include "profiler/arch/x86_64/regs.h"
#elif defined(__aarch64__)
#include "profiler/arch/aarch64/regs.h"
#else
#error "taskprof knows x86-64 and aarch64; see docs/architecture.md for what a new one needs"
#endif
