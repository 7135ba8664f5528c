#include "profiler/symbols/elf_image.h"

#include "profiler/base/safe_read.h"

#include <errno.h>
#include <string.h>

enum { HEADERS_MAX = 64, DYNAMIC_MAX = 1024, SYMBOLS_MAX = 4 << 20, STRINGS_MAX = 256 << 20 };

struct image {
    uintptr_t bias;
    uint64_t code_end; // an address of the file
    uintptr_t dynamic;
    size_t dynamic_count;
};

// Addresses in memory; 0 for what the image has not.
struct dynamic {
    uintptr_t symbols;
    uintptr_t strings;
    uint64_t strings_size;
    uintptr_t hash;
    uintptr_t gnu_hash;
};

static bool read_all(uintptr_t address, void *into, size_t length)
{
    char *at = into;
    while (length) {
        ssize_t got = safe_read(address, at, length);
        if (got <= 0)
            return false;
        at += got;
        address += (size_t)got;
        length -= (size_t)got;
    }
    return true;
}

static bool read_headers(uintptr_t address, const struct mapping *mapping, struct image *ret)
{
    Elf64_Ehdr header;
    Elf64_Phdr segments[HEADERS_MAX] = {0};
    if (!read_all(address, &header, sizeof(header)) ||
        memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
        header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum == 0 ||
        header.e_phnum > HEADERS_MAX || header.e_phoff > UINT32_MAX ||
        !read_all(address + header.e_phoff, segments, header.e_phnum * sizeof(*segments)))
        return false;
    struct image image = {0};
    bool based = false;
    for (unsigned i = 0; i < header.e_phnum && !based; i++) {
        based = segments[i].p_type == PT_LOAD && segments[i].p_offset == 0;
        if (based)
            image.bias = address - segments[i].p_vaddr;
    }
    bool holds_mapping = false;
    for (unsigned i = 0; i < header.e_phnum; i++) {
        const Elf64_Phdr *segment = &segments[i];
        uintptr_t start = image.bias + segment->p_vaddr;
        if (segment->p_type == PT_LOAD && segment->p_flags & PF_X && start < mapping->limit &&
            mapping->start < start + segment->p_memsz) {
            holds_mapping = true;
            image.code_end = segment->p_vaddr + segment->p_memsz;
        }
        if (segment->p_type == PT_DYNAMIC) {
            image.dynamic = start;
            image.dynamic_count = segment->p_memsz / sizeof(Elf64_Dyn);
        }
    }
    *ret = image;
    return based && holds_mapping && image.dynamic_count;
}

// The loader writes addresses in memory over the file's, but not into an image that it did not
// load.
static uintptr_t in_memory(const struct image *image, uint64_t value)
{
    return value >= image->bias ? value : value + image->bias;
}

static bool read_dynamic(const struct image *image, struct dynamic *ret)
{
    *ret = (struct dynamic){0};
    size_t count = image->dynamic_count < DYNAMIC_MAX ? image->dynamic_count : DYNAMIC_MAX;
    for (size_t i = 0; i < count; i++) {
        Elf64_Dyn entry;
        if (!read_all(image->dynamic + i * sizeof(entry), &entry, sizeof(entry)))
            return false;
        uintptr_t address = in_memory(image, entry.d_un.d_ptr);
        switch (entry.d_tag) {
        case DT_NULL:
            count = 0;
            break;
        case DT_SYMTAB:
            ret->symbols = address;
            break;
        case DT_STRTAB:
            ret->strings = address;
            break;
        case DT_STRSZ:
            ret->strings_size = entry.d_un.d_val;
            break;
        case DT_HASH:
            ret->hash = address;
            break;
        case DT_GNU_HASH:
            ret->gnu_hash = address;
            break;
        default:
            break;
        }
    }
    return ret->symbols && ret->strings && ret->strings_size && ret->strings_size <= STRINGS_MAX;
}

// A GNU hash table does not say how many symbols there are: the last chain's end does.
static size_t count_gnu_hash(uintptr_t table)
{
    struct {
        uint32_t buckets;
        uint32_t first;
        uint32_t bloom_words;
        uint32_t bloom_shift;
    } header;
    if (!read_all(table, &header, sizeof(header)) || header.buckets > SYMBOLS_MAX ||
        header.bloom_words > SYMBOLS_MAX)
        return 0;
    uintptr_t buckets = table + sizeof(header) + (uintptr_t)header.bloom_words * 8;
    uintptr_t chains = buckets + (uintptr_t)header.buckets * 4;
    uint32_t words[256];
    uint32_t last = 0;
    for (uint32_t at = 0; at < header.buckets;) {
        uint32_t some = header.buckets - at < 256 ? header.buckets - at : 256;
        if (!read_all(buckets + (uintptr_t)at * 4, words, some * sizeof(*words)))
            return 0;
        for (uint32_t i = 0; i < some; i++)
            last = words[i] > last ? words[i] : last;
        at += some;
    }
    if (last < header.first)
        return header.first;
    for (; last < SYMBOLS_MAX; last++) {
        uint32_t chained;
        if (!read_all(chains + (uintptr_t)(last - header.first) * 4, &chained, sizeof(chained)))
            return 0;
        if (chained & 1)
            return (size_t)last + 1;
    }
    return 0;
}

static size_t count_symbols(const struct dynamic *dynamic)
{
    uint32_t hash[2]; // buckets, symbols
    if (dynamic->hash && read_all(dynamic->hash, hash, sizeof(hash)))
        return hash[1] <= SYMBOLS_MAX ? hash[1] : 0;
    return dynamic->gnu_hash ? count_gnu_hash(dynamic->gnu_hash) : 0;
}

static int load_dynamic(const struct image *image, struct elf_symbols *ret)
{
    struct dynamic dynamic;
    if (!read_dynamic(image, &dynamic))
        return -ENODATA;
    struct elf_table table = {.count = count_symbols(&dynamic), .limit = image->code_end};
    size_t bytes = table.count * sizeof(Elf64_Sym);
    Elf64_Sym *symbols = memory_map(bytes);
    if (!symbols)
        return bytes ? -ENOMEM : -ENODATA;
    table.symbols = symbols;
    table.strings.size = dynamic.strings_size;
    table.strings.data = memory_map(dynamic.strings_size + 1);
    int error = -ENOMEM;
    if (table.strings.data) {
        if (read_all(dynamic.symbols, symbols, bytes) &&
            read_all(dynamic.strings, table.strings.data, dynamic.strings_size)) {
            error = elf_symbols_build(&table, ret);
        } else {
            elf_bytes_release(&table.strings);
            error = -ENODATA;
        }
    }
    memory_unmap(symbols, bytes);
    if (!error)
        ret->bias = image->bias;
    return error;
}

int elf_image_symbols(const struct mapping *mapping, struct elf_symbols *ret)
{
    // Where the file's first byte is: in the usual layout as far before the code as in the file,
    // else where the file's address 0 is.
    const uintptr_t candidates[] = {mapping->start - mapping->offset, mapping->bias};
    for (size_t i = 0; i < sizeof(candidates) / sizeof(*candidates); i++) {
        struct image image;
        if (candidates[i] && candidates[i] <= mapping->start &&
            read_headers(candidates[i], mapping, &image))
            return load_dynamic(&image, ret);
    }
    return -ENODATA;
}
