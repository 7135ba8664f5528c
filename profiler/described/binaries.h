// The files that are mapped, with their DWARF, as far as described types need it. Only for the
// types thread: libdw calls malloc.

#pragma once

#include "profiler/base/budget.h"
#include "profiler/described/near.h"
#include "profiler/described/types.h"
#include "profiler/symbols/dwarf_image.h"
#include "profiler/unwind/maps.h"

enum { DESCRIPTIONS_MAX = 64 };

// What is known of a description.
struct described_type {
    struct description description;
    bool fits;                 // some binary has a type with all its fields
    char problem[PROBLEM_MAX]; // otherwise: what is wrong with the nearest to it; "": no such type
    struct near near;          // types with such a name
};

struct described_file {
    size_t count;
    struct described_type types[DESCRIPTIONS_MAX];
};

// A typedef or structure that a description names.
struct type_entry {
    const void *address;         // Dwarf_Die.addr: what makes it this one
    uint32_t description;        // index in described_file.types
    const struct layout *layout; // NULL: this unit does not define it
    Dwarf_Die die;
};

// A variable that stands at one place for ever.
struct static_variable {
    uint64_t low; // addresses of the file
    uint64_t high;
    Dwarf_Die die;
};

enum { BINARY_DATA_MAX = 4 };

struct binary {
    struct mapping mapping; // with a path of its own
    unsigned data_count;    // writable segments, in memory
    struct {
        uintptr_t low;
        uintptr_t high;
    } data[BINARY_DATA_MAX];
    bool opened; // its DWARF was looked for
    struct dwarf_image image;
    struct dwarf_image shared;
    struct buffer types;     // of struct type_entry, by address
    bool has_variables;      // they were looked for
    struct buffer variables; // of struct static_variable, by `low`
};

extern struct budget binaries_budget; // of their records
extern struct budget layouts_budget;

// Gives back those whose files are not mapped any more. true: there were some; what was derived
// from any binary is to be forgotten, and pointers to binaries are void.
bool binaries_prune(void);

// Learns what is mapped now: the binaries are those of the last call and new ones. How many.
size_t binaries_refresh(void);
struct binary *binaries_at(size_t index); // NULL: not so many

// The binary whose code, or whose data, is at an address; NULL: none.
struct binary *binaries_of_code(uintptr_t address);
struct binary *binaries_of_data(uintptr_t address);

// Opens a binary's DWARF and looks for the described types, once. Whether it has DWARF.
bool binary_open(struct binary *binary, struct described_file *file);

// The described type that a DIE is; NULL: none. One of such a name that lacks a described field is
// none.
const struct type_entry *binary_type(const struct binary *binary, const Dwarf_Die *type);

// Any definition of a described type; NULL: there is none in this binary.
const struct type_entry *binary_definition(const struct binary *binary, uint32_t description);

// Layouts of a description, in any binary: layouts_next(description, NULL), then with the
// last one; NULL: no more.
const struct layout *layouts_next(uint32_t description, const struct layout *after);
// From now on there are none; those that there were stay valid.
void layouts_forget(void);

// The variable that covers an address of the binary's data; NULL: none is known. The first call
// walks over all of its DWARF.
const struct static_variable *binary_variable(struct binary *binary, uintptr_t address);

// The functions at an address, the real one first and then those inlined into each other.
enum { BINARY_SCOPES_MAX = 16 };
unsigned binary_scopes(struct binary *binary, uintptr_t address, Dwarf_Die ret[BINARY_SCOPES_MAX]);

// Gives back all, and forgets the layouts.
void binaries_close(void);

// In the child of a fork: what the thread was at is given up, with its memory.
void binaries_after_fork(void);
