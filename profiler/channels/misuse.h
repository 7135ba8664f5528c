// What the registry of channels asks of the record of misuses; the rest is in channel.h.

#pragma once

void misuse_after_fork(void);
