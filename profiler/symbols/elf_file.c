#include "profiler/symbols/elf_file.h"

#include "profiler/base/memory.h"
#include "profiler/base/own_fd.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    SECTIONS_MAX = 1 << 20,
    NAMES_MAX = 16 << 20,
    NOTES_MAX = 64 << 10,
    OWN_DATA = __BYTE_ORDER == __LITTLE_ENDIAN ? ELFDATA2LSB : ELFDATA2MSB
};

// Here and below straight to the kernel: open, pread and close are cancellation points, and whoever
// is cancelled here leaves locks behind.
int elf_file_read(const struct elf_file *file, void *into, size_t length, uint64_t offset)
{
    if (offset > file->size || length > file->size - offset)
        return -ENOEXEC;
    char *at = into;
    while (length) {
        ssize_t got = syscall(SYS_pread64, file->fd, at, length, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : -ENOEXEC;
        at += got;
        offset += (uint64_t)got;
        length -= (size_t)got;
    }
    return 0;
}

static int load_range(const struct elf_file *file, uint64_t offset, uint64_t size,
                      struct elf_bytes *ret)
{
    if (offset > file->size || size > file->size - offset)
        return -ENOEXEC;
    void *data = memory_map(size + 1);
    if (!data)
        return -ENOMEM;
    int error = elf_file_read(file, data, size, offset);
    if (error) {
        memory_unmap(data, size + 1);
        return error;
    }
    *ret = (struct elf_bytes){.data = data, .size = size};
    return 0;
}

void elf_bytes_release(struct elf_bytes *bytes)
{
    memory_unmap(bytes->data, bytes->size + 1);
    *bytes = (struct elf_bytes){0};
}

int elf_file_load(const struct elf_file *file, const Elf64_Shdr *section, size_t max,
                  struct elf_bytes *ret)
{
    if (section->sh_type == SHT_NOBITS || section->sh_flags & SHF_COMPRESSED)
        return -ENOEXEC;
    if (section->sh_size > max)
        return -EFBIG;
    return load_range(file, section->sh_offset, section->sh_size, ret);
}

// Numbers that do not fit into the header stand in the first section's.
static int load_sections(struct elf_file *file)
{
    const Elf64_Ehdr *header = &file->header;
    if (header->e_shoff == 0)
        return 0;
    if (header->e_shentsize != sizeof(Elf64_Shdr))
        return -ENOEXEC;
    Elf64_Shdr first;
    int error = elf_file_read(file, &first, sizeof(first), header->e_shoff);
    if (error)
        return error;
    uint64_t count = header->e_shnum ? header->e_shnum : first.sh_size;
    uint64_t names = header->e_shstrndx == SHN_XINDEX ? first.sh_link : header->e_shstrndx;
    if (count > SECTIONS_MAX)
        return -ENOEXEC;
    struct elf_bytes bytes;
    error = load_range(file, header->e_shoff, count * sizeof(Elf64_Shdr), &bytes);
    if (error)
        return error;
    file->sections = bytes.data;
    file->section_count = count;
    if (names == SHN_UNDEF || names >= count)
        return 0;
    error = elf_file_load(file, &file->sections[names], NAMES_MAX, &bytes);
    if (error)
        return error;
    file->names = bytes.data;
    file->names_size = bytes.size;
    return 0;
}

static size_t aligned(size_t value, size_t align)
{
    return (value + align - 1) / align * align;
}

bool elf_note_build_id(const void *notes, size_t size, size_t align,
                       unsigned char build_id[BUILD_ID_MAX], unsigned *ret_length)
{
    const char *bytes = notes;
    align = align == 8 ? 8 : 4;
    size_t at = 0;
    while (at < size && size - at >= sizeof(Elf64_Nhdr)) {
        Elf64_Nhdr note;
        memcpy(&note, bytes + at, sizeof(note));
        size_t name = at + sizeof(note);
        // Both are 32 bits wide: no sum of them overflows.
        size_t description = aligned(name + note.n_namesz, align);
        size_t end = description + note.n_descsz;
        if (end > size)
            return false;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof(ELF_NOTE_GNU) &&
            memcmp(bytes + name, ELF_NOTE_GNU, sizeof(ELF_NOTE_GNU)) == 0 && note.n_descsz &&
            note.n_descsz <= BUILD_ID_MAX) {
            memcpy(build_id, bytes + description, note.n_descsz);
            *ret_length = note.n_descsz;
            return true;
        }
        at = aligned(end, align);
    }
    return false;
}

static void find_build_id(struct elf_file *file)
{
    for (size_t i = 0; i < file->section_count && !file->build_id_length; i++) {
        const Elf64_Shdr *section = &file->sections[i];
        struct elf_bytes notes;
        if (section->sh_type != SHT_NOTE || elf_file_load(file, section, NOTES_MAX, &notes))
            continue;
        elf_note_build_id(notes.data, notes.size, section->sh_addralign, file->build_id,
                          &file->build_id_length);
        elf_bytes_release(&notes);
    }
}

static int read_header(struct elf_file *file)
{
    struct stat status;
    // As the rest: ThreadSanitizer believes that it knows a number that it has seen opened before.
    if (syscall(SYS_fstat, file->fd, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode) || status.st_size < (off_t)sizeof(file->header))
        return -ENOEXEC;
    file->size = (uint64_t)status.st_size;
    file->device = status.st_dev;
    file->inode = status.st_ino;
    Elf64_Ehdr *header = &file->header;
    int error = elf_file_read(file, header, sizeof(*header), 0);
    if (error)
        return error;
    if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_ident[EI_CLASS] != ELFCLASS64 ||
        header->e_ident[EI_DATA] != OWN_DATA)
        return -ENOEXEC;
    return load_sections(file);
}

int elf_file_open(const char *path, struct elf_file *ret)
{
    // Not blocking: a path may lead to a pipe by now.
    int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    struct elf_file file = {.fd = own_fd((int)syscall(SYS_openat, AT_FDCWD, path, flags))};
    if (file.fd < 0)
        return -errno;
    int error = read_header(&file);
    if (error) {
        elf_file_close(&file);
        return error;
    }
    find_build_id(&file);
    *ret = file;
    return 0;
}

void elf_file_close(struct elf_file *file)
{
    if (file->sections)
        memory_unmap(file->sections, file->section_count * sizeof(Elf64_Shdr) + 1);
    if (file->names)
        memory_unmap(file->names, file->names_size + 1);
    own_fd_close(file->fd);
    *file = (struct elf_file){.fd = -1};
}

const Elf64_Shdr *elf_file_section(const struct elf_file *file, const char *name)
{
    for (size_t i = 0; i < file->section_count; i++) {
        const Elf64_Shdr *section = &file->sections[i];
        if (section->sh_name < file->names_size &&
            strcmp(file->names + section->sh_name, name) == 0)
            return section;
    }
    return NULL;
}

const Elf64_Shdr *elf_file_section_of_type(const struct elf_file *file, uint32_t type)
{
    for (size_t i = 0; i < file->section_count; i++)
        if (file->sections[i].sh_type == type)
            return &file->sections[i];
    return NULL;
}

bool elf_file_has_dwarf(const struct elf_file *file)
{
    static const char *const names[] = {".debug_info", ".zdebug_info"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        const Elf64_Shdr *section = elf_file_section(file, names[i]);
        if (section && section->sh_type != SHT_NOBITS)
            return true;
    }
    return false;
}
