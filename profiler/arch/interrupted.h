// The registers of a thread that a signal interrupted, out of what its handler is given.

#pragma once

#if defined(__x86_64__)
#include "profiler/arch/x86_64/interrupted.h"
#elif defined(__aarch64__)
#include "profiler/arch/aarch64/interrupted.h"
#endif
