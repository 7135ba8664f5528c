#include "profiler/symbols/dwarf_image.h"

#include "profiler/base/memory.h"
#include "profiler/symbols/elf_find.h"

#include <elfutils/libdwelf.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { READ_AT_ONCE = 4 << 20 };
static const uint64_t LOADED_MAX = (uint64_t)1 << 30;

// Of the sections without these nothing is asked; they stay zeroes that no memory was spent on.
static bool is_wanted(const struct elf_file *file, const Elf64_Shdr *section)
{
    static const char *const wanted[] = {
        ".debug_info",     ".debug_abbrev",   ".debug_line",  ".debug_str",
        ".debug_line_str", ".debug_addr",     ".debug_types", ".debug_str_offsets",
        ".debug_ranges",   ".debug_rnglists", ".shstrtab",    ".gnu_debugaltlink",
    };
    if (section->sh_type == SHT_NOBITS || section->sh_name >= file->names_size)
        return false;
    const char *name = file->names + section->sh_name;
    // libdw unpacks compressed sections all at once when it opens the file.
    if (strncmp(name, ".zdebug_", 8) == 0 ||
        (strncmp(name, ".debug_", 7) == 0 && section->sh_flags & SHF_COMPRESSED))
        return true;
    for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
        if (strcmp(name, wanted[i]) == 0)
            return true;
    return false;
}

static uint64_t unpacked_size(const struct elf_file *file, const Elf64_Shdr *section)
{
    Elf64_Chdr header;
    if (section->sh_flags & SHF_COMPRESSED && section->sh_size >= sizeof(header) &&
        elf_file_read(file, &header, sizeof(header), section->sh_offset) == 0)
        return header.ch_size;
    // The older kind: "ZLIB" and the size, in big endian.
    unsigned char old[12];
    if (section->sh_size < sizeof(old) ||
        elf_file_read(file, old, sizeof(old), section->sh_offset) != 0 ||
        memcmp(old, "ZLIB", 4) != 0)
        return 0;
    uint64_t size = 0;
    for (int i = 4; i < 12; i++)
        size = size << 8 | old[i];
    return size;
}

static int copy(const struct elf_file *file, const struct dwarf_image *image, uint64_t offset,
                uint64_t size, void (*progress)(void))
{
    if (offset > image->size || size > image->size - offset)
        return -ENOEXEC;
    while (size) {
        size_t length = size < READ_AT_ONCE ? size : READ_AT_ONCE;
        int error = elf_file_read(file, (char *)image->bytes + offset, length, offset);
        if (error)
            return error;
        progress();
        offset += length;
        size -= length;
    }
    return 0;
}

static int copy_all(const struct elf_file *file, const struct dwarf_image *image,
                    void (*progress)(void))
{
    const Elf64_Ehdr *header = &file->header;
    int error = copy(file, image, 0, sizeof(*header), progress);
    if (!error)
        error = copy(file, image, header->e_phoff, (uint64_t)header->e_phnum * header->e_phentsize,
                     progress);
    if (!error)
        error = copy(file, image, header->e_shoff,
                     (uint64_t)file->section_count * sizeof(Elf64_Shdr), progress);
    uint64_t loaded = 0;
    for (size_t i = 0; i < file->section_count && !error; i++) {
        const Elf64_Shdr *section = &file->sections[i];
        if (!is_wanted(file, section))
            continue;
        uint64_t unpacked = unpacked_size(file, section);
        if (section->sh_size > LOADED_MAX || unpacked > LOADED_MAX)
            return -EFBIG;
        loaded += section->sh_size + unpacked;
        if (loaded > LOADED_MAX)
            return -EFBIG;
        error = copy(file, image, section->sh_offset, section->sh_size, progress);
    }
    return error;
}

int dwarf_image_open(const struct elf_file *file, void (*progress)(void), struct dwarf_image *ret)
{
    struct dwarf_image image = {.size = file->size};
    image.bytes = memory_map(image.size);
    if (!image.bytes)
        return -ENOMEM;
    int error = copy_all(file, &image, progress);
    if (!error) {
        elf_version(EV_CURRENT);
        image.elf = elf_memory(image.bytes, image.size);
        image.dwarf = image.elf ? dwarf_begin_elf(image.elf, DWARF_C_READ, NULL) : NULL;
        error = image.dwarf ? 0 : -ENODATA;
    }
    if (error) {
        dwarf_image_close(&image);
        return error;
    }
    progress();
    *ret = image;
    return 0;
}

static bool has_build_id(const struct elf_file *file, const void *build_id, size_t length)
{
    return file->build_id_length == length && memcmp(file->build_id, build_id, length) == 0;
}

// The name is seen from the directory that the file really lies in, behind all symbolic links.
static int open_named(const struct elf_file *file, const char *name, struct elf_file *ret)
{
    if (name[0] == '/')
        return elf_file_open(name, ret);
    char link[64];
    char directory[PATH_MAX];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", file->fd);
    ssize_t length = readlink(link, directory, sizeof(directory) - 1);
    if (length <= 0)
        return -ENOENT;
    directory[length] = '\0';
    const char *slash = strrchr(directory, '/');
    char path[PATH_MAX];
    if (!slash)
        return -ENOENT;
    int written =
        snprintf(path, sizeof(path), "%.*s/%s", (int)(slash - directory), directory, name);
    if (written < 0 || (size_t)written >= sizeof(path))
        return -ENOENT;
    return elf_file_open(path, ret);
}

int dwarf_image_open_shared(const struct dwarf_image *image, const struct elf_file *file,
                            void (*progress)(void), struct dwarf_image *ret)
{
    const char *name;
    const void *build_id;
    ssize_t length = dwelf_dwarf_gnu_debugaltlink(image->dwarf, &name, &build_id);
    if (length <= 0)
        return -ENOENT;
    struct elf_file shared;
    if (elf_find_build_id(build_id, (size_t)length, &shared) != 0 &&
        open_named(file, name, &shared) != 0)
        return -ENOENT;
    int error = -ENOENT;
    if (has_build_id(&shared, build_id, (size_t)length))
        error = dwarf_image_open(&shared, progress, ret);
    elf_file_close(&shared);
    return error;
}

void dwarf_image_close(struct dwarf_image *image)
{
    dwarf_end(image->dwarf);
    elf_end(image->elf);
    memory_unmap(image->bytes, image->size);
    *image = (struct dwarf_image){0};
}
