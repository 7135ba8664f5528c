#include "profiler/symbols/elf_symbols_load.h"

#include "profiler/symbols/elf_find.h"
#include "profiler/symbols/elf_image.h"

#include <errno.h>

enum { TABLE_MAX = 256 << 20 };

static int load_table(const struct elf_file *file, uint32_t type, struct elf_symbols *ret)
{
    const Elf64_Shdr *section = elf_file_section_of_type(file, type);
    if (!section || section->sh_entsize != sizeof(Elf64_Sym) ||
        section->sh_link >= file->section_count)
        return -ENODATA;
    struct elf_table table = {
        .sections = file->sections, .section_count = file->section_count, .limit = UINT64_MAX};
    struct elf_bytes symbols;
    int error = elf_file_load(file, section, TABLE_MAX, &symbols);
    if (error)
        return error;
    error = elf_file_load(file, &file->sections[section->sh_link], TABLE_MAX, &table.strings);
    if (!error) {
        table.symbols = symbols.data;
        table.count = symbols.size / sizeof(Elf64_Sym);
        error = elf_symbols_build(&table, ret);
    }
    elf_bytes_release(&symbols);
    return error;
}

int elf_symbols_load_file(const struct elf_file *file, const char *path, struct elf_symbols *ret)
{
    if (load_table(file, SHT_SYMTAB, ret) == 0)
        return 0;
    struct elf_file debug;
    if (elf_find_debug(file, path, &debug) == 0) {
        int error = load_table(&debug, SHT_SYMTAB, ret);
        elf_file_close(&debug);
        if (!error)
            return 0;
    }
    return load_table(file, SHT_DYNSYM, ret);
}

int elf_symbols_load(const struct mapping *mapping, struct elf_symbols *ret)
{
    struct elf_file file;
    if (elf_find_mapped(mapping, &file))
        return elf_image_symbols(mapping, ret);
    int error = elf_symbols_load_file(&file, mapping->path, ret);
    elf_file_close(&file);
    if (!error)
        ret->bias = mapping->bias;
    return error;
}
