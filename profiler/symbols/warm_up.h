// What is looked up before anybody asks: see symbols_warm_up.

#pragma once

enum { WARM_UP_MODULE_MAX = 32 << 20 }; // bytes of symbols and of DWARF, unpacked

// On the DWARF thread: puts into its queue what the last symbols_warm_up was about.
void warm_up_run(void);

// Drops what warm_up_run was to do. No DWARF thread runs, or it does nothing with it any more.
void warm_up_forget(void);
