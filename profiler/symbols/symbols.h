// Names for addresses: function, file, line, inlined frames.
//
// Off the capture path. Function names come from .symtab and .dynsym, read by our own code without
// malloc. Files, lines and inlined frames come from DWARF through libdw, on a thread of its own
// that symbols_resolve waits for only as long as it makes progress: a process whose malloc is stuck
// for ever still gets names. Results are kept: an address is looked up once.
//
// What they are kept in has a budget, and makes room for others (symbol_cache.h). So symbols and
// their strings are valid as long as the hold (base/epoch.h) in which they were got; a snapshot has
// one.

#pragma once

#include "profiler/base/memory.h"
#include "profiler/unwind/maps.h"

// One frame at an address. Strings are valid UTF-8, never NULL; "" when not known.
struct symbol_frame {
    const char *function; // linker name, C++ names mangled
    const char *file;     // as the compiler wrote it, made absolute with its directory
    uint32_t line;        // 0: not known
    uint32_t start_line;  // of the function; 0: not known
};

// What stands at an address: `count` frames, the innermost inlined one first, the real function
// last. count is at least 1; an address without a name has function "".
struct symbol {
    uintptr_t address; // as asked for: a return address
    uintptr_t entry;   // where the real function starts; 0: not known
    unsigned count;
    bool has_lines; // file and line were looked up and found
    const struct symbol_frame *frames;
};

// Looks up `count` return addresses (each at address - 1). ret[i] belongs to addresses[i]. Any
// thread that has a hold. Costs a hash look-up for an address that was met before.
// Returns 0, or -ETIMEDOUT when DWARF could not be had in time (names alone are there then, and
// later calls try again).
int symbols_resolve(const uintptr_t *addresses, size_t count, const struct symbol **ret);

// The same without *ret, and without waiting for DWARF: asked for by who wants it to be there
// later.
void symbols_ask(const uintptr_t *addresses, size_t count);

// Starts and stops the thread that reads DWARF. Without it, names come from symbol tables alone.
// 0 or a negative errno.
int symbols_start(void);
void symbols_stop(void);

// Has that thread look up by itself, when nothing else is to do, what every dump of this process
// will show: the frames that the caller has around it, those that every thread ends in, and the
// program's entry. Then the unwind rules, names and DWARF of the program and of the C library are
// there before they are needed. Returns at once. Modules that are large wait until they are asked
// about. Any thread.
void symbols_warm_up(void);

// Whether functions, files, lines and inlined frames were found for every address of this mapping
// that was ever resolved: what pprof's has_* flags promise.
struct symbols_coverage {
    bool functions;
    bool files;
    bool lines;
    bool inlines;
};

void symbols_after_fork(void);
