#include "profiler/described/binaries.h"

#include "profiler/base/epoch.h"
#include "profiler/channels/inquiry.h"
#include "profiler/symbols/elf_find.h"
#include "profiler/unwind/picture.h"

#include <elf.h>
#include <string.h>

enum { BINARIES_MAX = 1024 };

struct budget binaries_budget =
    BUDGET_INIT("mapped files", "described queues in them are not recognised",
                BINARIES_MAX * sizeof(struct binary));

// Static, so that leak checkers, which do not look into memory from memory_map, see who holds what
// libdw allocated.
static struct binary binaries[BINARIES_MAX];
static size_t binary_count;

static bool same_file(const struct mapping *one, const struct mapping *other)
{
    return one->device == other->device && one->inode == other->inode && one->bias == other->bias &&
           one->build_id_length == other->build_id_length &&
           memcmp(one->build_id, other->build_id, one->build_id_length) == 0;
}

static void read_segments(struct binary *binary)
{
    struct elf_file file;
    if (elf_find_mapped(&binary->mapping, &file) != 0)
        return;
    for (unsigned i = 0; i < file.header.e_phnum && binary->data_count < BINARY_DATA_MAX; i++) {
        Elf64_Phdr segment;
        uint64_t at = file.header.e_phoff + (uint64_t)i * sizeof(segment);
        if (file.header.e_phentsize != sizeof(segment) ||
            elf_file_read(&file, &segment, sizeof(segment), at) != 0)
            break;
        uintptr_t low = binary->mapping.bias + segment.p_vaddr;
        if (segment.p_type != PT_LOAD || !(segment.p_flags & PF_W) || low + segment.p_memsz < low)
            continue;
        binary->data[binary->data_count].low = low;
        binary->data[binary->data_count++].high = low + segment.p_memsz;
    }
    elf_file_close(&file);
}

static void add_module(const struct mapping *mapping)
{
    // One whose path had no room comes again when there is some.
    if (!mapping->inode || !mapping->path[0])
        return;
    for (size_t i = 0; i < binary_count; i++)
        if (same_file(&binaries[i].mapping, mapping))
            return;
    size_t length = strlen(mapping->path) + 1;
    char *path = (binary_count + 1) * sizeof(struct binary) <= binaries_budget.limit
                     ? memory_map(length)
                     : NULL;
    if (!path) {
        budget_leave_out(&binaries_budget);
        return;
    }
    struct binary *binary = &binaries[binary_count];
    *binary = (struct binary){.mapping = *mapping};
    binary->mapping.path = memcpy(path, mapping->path, length);
    read_segments(binary);
    binary_count++;
    inquiry_step();
}

size_t binaries_refresh(void)
{
    struct arena arena = {0};
    struct mapping *mappings;
    unsigned main_mapping = 0;
    struct epoch_hold hold = {0};
    maps_refresh(); // where /proc is hidden, the old picture has to do
    epoch_hold(&hold);
    int count = maps_list(&arena, &mappings, &main_mapping);
    // The program first: most types are its own.
    if (count > 0)
        add_module(&mappings[main_mapping]);
    for (int i = 0; i < count; i++)
        add_module(&mappings[i]);
    epoch_release(&hold);
    arena_release(&arena);
    return binary_count;
}

struct binary *binaries_at(size_t index)
{
    return index < binary_count ? &binaries[index] : NULL;
}

static struct binary *find_code(uintptr_t address)
{
    struct mapping mapping;
    if (!maps_find(address, &mapping))
        return NULL;
    for (int attempt = 0; attempt < 2; attempt++) {
        for (size_t i = 0; i < binary_count; i++)
            if (same_file(&binaries[i].mapping, &mapping))
                return &binaries[i];
        if (attempt == 0)
            add_module(&mapping);
    }
    return NULL;
}

struct binary *binaries_of_code(uintptr_t address)
{
    struct epoch_hold hold = {0};
    epoch_hold(&hold);
    struct binary *binary = find_code(address);
    epoch_release(&hold);
    return binary;
}

struct binary *binaries_of_data(uintptr_t address)
{
    for (size_t i = 0; i < binary_count; i++)
        for (unsigned j = 0; j < binaries[i].data_count; j++)
            if (address >= binaries[i].data[j].low && address < binaries[i].data[j].high)
                return &binaries[i];
    return NULL;
}

static void close_one(struct binary *binary)
{
    dwarf_image_close(&binary->image);
    dwarf_image_close(&binary->shared);
    buffer_release(&binary->types);
    buffer_release(&binary->variables);
    memory_unmap((void *)binary->mapping.path, strlen(binary->mapping.path) + 1);
}

static bool is_mapped(const struct binary *binary)
{
    struct mapping now;
    return maps_find(binary->mapping.start, &now) && same_file(&binary->mapping, &now);
}

bool binaries_prune(void)
{
    static uint32_t pruned; // generation of the maps
    uint32_t generation = maps_generation();
    size_t kept = 0;
    if (generation == pruned)
        return false;
    pruned = generation;
    for (size_t i = 0; i < binary_count; i++) {
        if (!is_mapped(&binaries[i]))
            close_one(&binaries[i]);
        else if (kept++ != i)
            binaries[kept - 1] = binaries[i];
    }
    bool any = kept != binary_count;
    binary_count = kept;
    return any;
}

void binaries_close(void)
{
    for (size_t i = 0; i < binary_count; i++)
        close_one(&binaries[i]);
    binary_count = 0;
    layouts_forget();
}

void binaries_after_fork(void)
{
    binary_count = 0;
    layouts_forget();
}
