// ELF64 files, read by hand: with pread into memory of our own, never mapped (a file that is cut
// short while mapped kills its reader), and with every offset checked: the file may be anything.
// No malloc. errno is not kept: callers at the library's edge do that.

#pragma once

#include "profiler/unwind/maps.h"

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct elf_file {
    int fd;
    uint64_t size;
    uint64_t device;
    uint64_t inode;
    Elf64_Ehdr header;
    Elf64_Shdr *sections;
    size_t section_count;
    char *names; // of the sections; one more NUL behind its end
    size_t names_size;
    unsigned build_id_length; // 0: none
    unsigned char build_id[BUILD_ID_MAX];
};

// Bytes of a file, one NUL behind them.
struct elf_bytes {
    void *data;
    size_t size;
};

// Opens an ELF64 file of this machine's byte order. 0 and *ret; -ENOEXEC for what is no such file,
// or a negative errno.
int elf_file_open(const char *path, struct elf_file *ret);
void elf_file_close(struct elf_file *file);

// The first section of that name, or of that type; NULL if there is none.
const Elf64_Shdr *elf_file_section(const struct elf_file *file, const char *name);
const Elf64_Shdr *elf_file_section_of_type(const struct elf_file *file, uint32_t type);

// A section's contents. 0 and *ret; -ENOEXEC: not in the file, or compressed; -EFBIG: larger than
// `max`; or a negative errno.
int elf_file_load(const struct elf_file *file, const Elf64_Shdr *section, size_t max,
                  struct elf_bytes *ret);
void elf_bytes_release(struct elf_bytes *bytes);

// Whether it has information for lines.
bool elf_file_has_dwarf(const struct elf_file *file);

// Exactly `length` bytes at `offset`. 0 or a negative errno.
int elf_file_read(const struct elf_file *file, void *into, size_t length, uint64_t offset);

// Looks for a GNU build id among ELF notes; `align` is that of the notes. false: none there.
bool elf_note_build_id(const void *notes, size_t size, size_t align,
                       unsigned char build_id[BUILD_ID_MAX], unsigned *ret_length);
