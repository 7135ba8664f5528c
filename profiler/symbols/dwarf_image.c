#include "profiler/symbols/dwarf_image.h"

#include "profiler/base/memory.h"
#include "profiler/symbols/dwarf_sections.h"
#include "profiler/symbols/elf_find.h"

#include <elfutils/libdwelf.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// Sections lie at multiples of ALIGNMENT, so that libelf needs no copies of them.
enum { ALIGNMENT = 16, NAMES_MAX = 256 };
static const uint64_t LOADED_MAX = (uint64_t)1 << 30;

// The file that libdw is shown: a header, the sections, their names, the section headers.
struct layout {
    struct dwarf_section sections[DWARF_SECTIONS_MAX];
    size_t count;
    Elf64_Shdr headers[DWARF_SECTIONS_MAX + 2];
    char names[NAMES_MAX];
    size_t names_at;
    size_t headers_at;
    size_t size;
};

static size_t aligned(size_t size)
{
    return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static void lay_out(struct layout *layout)
{
    static const char own_name[] = ".shstrtab";
    size_t at = aligned(sizeof(Elf64_Ehdr));
    size_t name = 1;
    for (size_t i = 0; i < layout->count; i++) {
        const struct dwarf_section *section = &layout->sections[i];
        layout->headers[1 + i] = (Elf64_Shdr){.sh_name = (Elf64_Word)name,
                                              .sh_type = SHT_PROGBITS,
                                              .sh_offset = at,
                                              .sh_size = section->size,
                                              .sh_addralign = 1};
        size_t length = strlen(section->name) + 1;
        memcpy(layout->names + name, section->name, length);
        name += length;
        at = aligned(at + section->size);
    }
    memcpy(layout->names + name, own_name, sizeof(own_name));
    layout->headers[1 + layout->count] = (Elf64_Shdr){.sh_name = (Elf64_Word)name,
                                                      .sh_type = SHT_STRTAB,
                                                      .sh_offset = at,
                                                      .sh_size = name + sizeof(own_name),
                                                      .sh_addralign = 1};
    layout->names_at = at;
    layout->headers_at = at + NAMES_MAX;
    layout->size = layout->headers_at + sizeof(layout->headers);
}

static int fill(const struct elf_file *file, struct layout *layout, char *bytes,
                bool (*go_on)(void))
{
    for (size_t i = 0; i < layout->count; i++) {
        Elf64_Shdr *header = &layout->headers[1 + i];
        int error =
            dwarf_section_load(file, &layout->sections[i], bytes + header->sh_offset, go_on);
        if (error && error != -EBADMSG)
            return error;
        // One that can't be unpacked may not be needed.
        if (error)
            header->sh_size = 0;
    }
    Elf64_Ehdr header = file->header;
    header.e_phoff = 0;
    header.e_phnum = 0;
    header.e_shoff = layout->headers_at;
    header.e_shnum = (Elf64_Half)(layout->count + 2);
    header.e_shstrndx = (Elf64_Half)(layout->count + 1);
    memcpy(bytes, &header, sizeof(header));
    memcpy(bytes + layout->names_at, layout->names, NAMES_MAX);
    memcpy(bytes + layout->headers_at, layout->headers, sizeof(layout->headers));
    return 0;
}

int dwarf_image_open(const struct elf_file *file, bool (*go_on)(void), struct dwarf_image *ret)
{
    struct layout layout = {0};
    layout.count = dwarf_sections_find(file, layout.sections);
    if (dwarf_sections_size(layout.sections, layout.count) > LOADED_MAX)
        return -EFBIG;
    lay_out(&layout);
    struct dwarf_image image = {.size = layout.size, .bytes = memory_map(layout.size)};
    if (!image.bytes)
        return -ENOMEM;
    int error = fill(file, &layout, image.bytes, go_on);
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
    snprintf(link, sizeof(link), "/proc/thread-self/fd/%d", file->fd);
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
                            bool (*go_on)(void), struct dwarf_image *ret)
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
        error = dwarf_image_open(&shared, go_on, ret);
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
