#include "profiler/symbols/elf_symbols.h"

#include <errno.h>
#include <string.h>

static const Elf64_Shdr *section_of(const struct elf_table *table, const Elf64_Sym *symbol)
{
    return symbol->st_shndx < table->section_count ? &table->sections[symbol->st_shndx] : NULL;
}

static bool is_function(const struct elf_table *table, const Elf64_Sym *symbol)
{
    unsigned type = ELF64_ST_TYPE(symbol->st_info);
    if (symbol->st_shndx == SHN_UNDEF || symbol->st_name >= table->strings.size)
        return false;
    const char *name = (const char *)table->strings.data + symbol->st_name;
    if (name[0] == '\0' || name[0] == '@')
        return false;
    const Elf64_Shdr *section = section_of(table, symbol);
    bool in_code = section && section->sh_flags & SHF_EXECINSTR;
    if (type == STT_FUNC || type == STT_GNU_IFUNC)
        return in_code || !section;
    // A name that starts with '$' marks what kind of bytes follow.
    return type == STT_NOTYPE && in_code && name[0] != '$';
}

// Of several names for one place: global, then weak, then local; a function's before a label's; the
// one with fewer underscores in front, which is the one that people write.
static uint32_t rank_of(const struct elf_table *table, const Elf64_Sym *symbol)
{
    unsigned binding = ELF64_ST_BIND(symbol->st_info);
    uint32_t rank = binding == STB_LOCAL ? 0 : binding == STB_WEAK ? 1 : 2;
    rank = rank * 2 + (ELF64_ST_TYPE(symbol->st_info) != STT_NOTYPE);
    const char *name = (const char *)table->strings.data + symbol->st_name;
    size_t underscores = strspn(name, "_");
    return rank * 4 + (underscores < 3 ? 3 - (uint32_t)underscores : 0);
}

// Until extend_unsized, the range of a symbol without size is empty and its origin the end of its
// section.
static struct range range_of(const struct elf_table *table, const Elf64_Sym *symbol)
{
    uint64_t low = symbol->st_value;
    struct range range = {.low = low, .item = symbol->st_name, .rank = rank_of(table, symbol)};
    if (symbol->st_size) {
        range.origin = low;
        range.high = symbol->st_size <= UINT64_MAX - low ? low + symbol->st_size : UINT64_MAX;
        return range;
    }
    const Elf64_Shdr *section = section_of(table, symbol);
    range.high = low;
    range.origin = table->limit;
    if (section && section->sh_size <= UINT64_MAX - section->sh_addr)
        range.origin = section->sh_addr + section->sh_size;
    return range;
}

// A symbol without a size reaches to the next one, unless one with a size covers it.
static void extend_unsized(struct buffer *ranges)
{
    struct range *all = ranges_of(ranges);
    size_t count = ranges_count(ranges);
    uint64_t covered = 0;
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i; end < count && all[end].low == all[i].low; end++)
            if (all[end].high > covered)
                covered = all[end].high;
        uint64_t next = end < count ? all[end].low : UINT64_MAX;
        for (size_t j = i; j < end; j++) {
            if (all[j].high > all[j].low)
                continue;
            if (covered <= all[j].low)
                all[j].high = next < all[j].origin ? next : all[j].origin;
            all[j].origin = all[j].low;
        }
    }
}

int elf_symbols_build(struct elf_table *table, struct elf_symbols *ret)
{
    struct buffer ranges = {0};
    // Backwards, so that of equal ones the table's first is the sorted range's last, which wins.
    for (size_t i = table->count; i-- > 0;) {
        const Elf64_Sym *symbol = &table->symbols[i];
        if (!is_function(table, symbol))
            continue;
        struct range range = range_of(table, symbol);
        buffer_append(&ranges, &range, sizeof(range));
    }
    int error = ranges.failed ? -ENOMEM : ranges_sort(&ranges);
    if (!error) {
        extend_unsized(&ranges);
        error = ranges_flatten(&ranges);
    }
    if (!error && ranges.length == 0)
        error = -ENODATA;
    if (error) {
        buffer_release(&ranges);
        elf_bytes_release(&table->strings);
        return error;
    }
    *ret = (struct elf_symbols){.ranges = ranges, .strings = table->strings};
    return 0;
}

bool elf_symbols_find(const struct elf_symbols *symbols, uint64_t address, struct elf_symbol *ret)
{
    const struct range *range = ranges_find(&symbols->ranges, address);
    if (!range)
        return false;
    // Terminated: there is a NUL behind the string table.
    const char *name = (const char *)symbols->strings.data + range->item;
    *ret = (struct elf_symbol){.name = name, .length = strcspn(name, "@"), .entry = range->origin};
    return true;
}

bool elf_symbols_named(const struct elf_symbols *symbols, const char *name, uint64_t *ret_low,
                       uint64_t *ret_high)
{
    const struct range *ranges = ranges_of(&symbols->ranges);
    size_t length = strlen(name);
    for (size_t i = 0; i < ranges_count(&symbols->ranges); i++) {
        const char *known = (const char *)symbols->strings.data + ranges[i].item;
        if (ranges[i].low != ranges[i].origin || strncmp(known, name, length) != 0 ||
            (known[length] && known[length] != '@'))
            continue;
        *ret_low = ranges[i].low;
        *ret_high = ranges[i].high;
        return true;
    }
    return false;
}

void elf_symbols_release(struct elf_symbols *symbols)
{
    buffer_release(&symbols->ranges);
    elf_bytes_release(&symbols->strings);
    *symbols = (struct elf_symbols){0};
}
