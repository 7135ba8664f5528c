// Function names from an ELF symbol table, to be looked up by address or by name. No malloc.

#pragma once

#include "profiler/symbols/elf_file.h"
#include "profiler/symbols/ranges.h"

// Immutable once loaded, so that any thread may look things up.
struct elf_symbols {
    struct buffer ranges; // of struct range: item is the name's place in `strings`
    struct elf_bytes strings;
    uintptr_t bias; // from the file's addresses to those in memory
};

struct elf_symbol {
    const char *name; // not NUL-terminated: a version may follow
    size_t length;    // at least 1
    uint64_t entry;   // where the function starts, an address of the file
};

// A symbol table and where it is from.
struct elf_table {
    const Elf64_Sym *symbols;
    size_t count;
    struct elf_bytes strings;   // taken over, on failure too
    const Elf64_Shdr *sections; // NULL: from memory, where sections are not known
    size_t section_count;
    uint64_t limit; // the end of the code where sections are not known
};

// Sorts the functions out of a table. 0 and *ret, or a negative errno.
int elf_symbols_build(struct elf_table *table, struct elf_symbols *ret);

// The function at an address of the file. false: none.
bool elf_symbols_find(const struct elf_symbols *symbols, uint64_t address, struct elf_symbol *ret);

// The code of a function by its name: [*ret_low, *ret_high), addresses of the file. false: none of
// that name.
bool elf_symbols_named(const struct elf_symbols *symbols, const char *name, uint64_t *ret_low,
                       uint64_t *ret_high);

void elf_symbols_release(struct elf_symbols *symbols);
