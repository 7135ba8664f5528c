#include "profiler/described/binaries.h"

#include "profiler/channels/inquiry.h"
#include "profiler/symbols/elf_find.h"

#include <elf.h>
#include <string.h>

enum { BINARIES_MAX = 1024 };

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
    if (!mapping->inode || binary_count == BINARIES_MAX)
        return;
    for (size_t i = 0; i < binary_count; i++)
        if (same_file(&binaries[i].mapping, mapping))
            return;
    struct binary *binary = &binaries[binary_count];
    *binary = (struct binary){.mapping = *mapping};
    read_segments(binary);
    binary_count++;
    inquiry_step();
}

size_t binaries_refresh(void)
{
    struct arena arena = {0};
    struct mapping *mappings;
    unsigned main_mapping = 0;
    maps_refresh(); // where /proc is hidden, the old picture has to do
    int count = maps_list(&arena, &mappings, &main_mapping);
    // The program first: most types are its own.
    if (count > 0)
        add_module(&mappings[main_mapping]);
    for (int i = 0; i < count; i++)
        add_module(&mappings[i]);
    arena_release(&arena);
    return binary_count;
}

struct binary *binaries_at(size_t index)
{
    return index < binary_count ? &binaries[index] : NULL;
}

struct binary *binaries_of_code(uintptr_t address)
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

struct binary *binaries_of_data(uintptr_t address)
{
    for (size_t i = 0; i < binary_count; i++)
        for (unsigned j = 0; j < binaries[i].data_count; j++)
            if (address >= binaries[i].data[j].low && address < binaries[i].data[j].high)
                return &binaries[i];
    return NULL;
}

void binaries_close(void)
{
    for (size_t i = 0; i < binary_count; i++) {
        dwarf_image_close(&binaries[i].image);
        dwarf_image_close(&binaries[i].shared);
        buffer_release(&binaries[i].types);
        buffer_release(&binaries[i].variables);
    }
    binary_count = 0;
    layouts_forget();
}

void binaries_after_fork(void)
{
    binary_count = 0;
    layouts_forget();
}
