// What the park entries in assembly call: they save the caller's registers and come here.

#pragma once

#include "profiler/arch/regs.h"

#include <taskprof/park.h>

void park_enter(enum taskprof_reason reason, const void *object, const struct arch_regs *regs);
void park_enter_call(enum taskprof_reason reason, const void *object, const struct arch_regs *regs);
void park_enter_select(const struct taskprof_wait *waits, unsigned count,
                       const struct arch_regs *regs);
void park_enter_task(struct taskprof_task *task, enum taskprof_reason reason, const void *object,
                     const struct arch_regs *regs);
void park_enter_task_select(struct taskprof_task *task, const struct taskprof_wait *waits,
                            unsigned count, const struct arch_regs *regs);
