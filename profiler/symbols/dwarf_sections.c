#include "profiler/symbols/dwarf_sections.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <zlib.h>

// Deflate can't do better than 1 to 1,032.
enum { READ_AT_ONCE = 256 << 10, PACKED_AT_ONCE = 16 << 10, PACKED_BEST = 1032 };

static const char *const wanted[DWARF_SECTIONS_MAX] = {
    ".debug_info",     ".debug_abbrev",   ".debug_line",    ".debug_str",
    ".debug_line_str", ".debug_addr",     ".debug_types",   ".debug_str_offsets",
    ".debug_ranges",   ".debug_rnglists", ".debug_aranges", ".gnu_debugaltlink",
};

// Kept at the front of a packed section: its size unpacked. The older kind, ".zdebug_", has "ZLIB"
// and the size in big endian.
static bool read_packed(const struct elf_file *file, bool old, struct dwarf_section *section)
{
    unsigned char start[sizeof(Elf64_Chdr)];
    size_t length = old ? 12 : sizeof(Elf64_Chdr);
    if (section->stored < length || elf_file_read(file, start, length, section->offset) != 0)
        return false;
    section->packed = true;
    section->offset += length;
    section->stored -= length;
    if (old) {
        section->size = 0;
        for (int i = 4; i < 12; i++)
            section->size = section->size << 8 | start[i];
        return memcmp(start, "ZLIB", 4) == 0;
    }
    Elf64_Chdr header;
    memcpy(&header, start, sizeof(header));
    section->size = header.ch_size;
    return header.ch_type == ELFCOMPRESS_ZLIB;
}

static bool read_section(const struct elf_file *file, const Elf64_Shdr *header, bool old,
                         struct dwarf_section *ret)
{
    if (header->sh_type == SHT_NOBITS || !header->sh_size)
        return false;
    ret->packed = false;
    ret->offset = header->sh_offset;
    ret->stored = ret->size = header->sh_size;
    if (!old && !(header->sh_flags & SHF_COMPRESSED))
        return true;
    return read_packed(file, old, ret) && ret->size && ret->size / PACKED_BEST <= ret->stored;
}

// Which of the wanted ones a section is, -1: none. "*ret_old": it is packed in the older way.
static int wanted_index(const struct elf_file *file, const Elf64_Shdr *header, bool *ret_old)
{
    if (header->sh_name >= file->names_size)
        return -1;
    const char *name = file->names + header->sh_name;
    *ret_old = name[0] == '.' && name[1] == 'z';
    for (int i = 0; i < DWARF_SECTIONS_MAX; i++)
        if (*ret_old ? strcmp(name + 2, wanted[i] + 1) == 0 : strcmp(name, wanted[i]) == 0)
            return i;
    return -1;
}

size_t dwarf_sections_find(const struct elf_file *file, struct dwarf_section *ret)
{
    bool met[DWARF_SECTIONS_MAX] = {false};
    size_t count = 0;
    for (size_t i = 0; i < file->section_count; i++) {
        bool old;
        int index = wanted_index(file, &file->sections[i], &old);
        if (index < 0 || met[index] || !read_section(file, &file->sections[i], old, &ret[count]))
            continue;
        met[index] = true;
        ret[count++].name = wanted[index];
    }
    return count;
}

uint64_t dwarf_sections_size(const struct dwarf_section *sections, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        if (sections[i].size > UINT64_MAX - sum)
            return UINT64_MAX;
        sum += sections[i].size;
    }
    return sum;
}

static int read_plain(const struct elf_file *file, const struct dwarf_section *section,
                      unsigned char *into, bool (*go_on)(void))
{
    for (uint64_t at = 0; at < section->size;) {
        uint64_t left = section->size - at;
        size_t length = left < READ_AT_ONCE ? left : READ_AT_ONCE;
        int error = elf_file_read(file, into + at, length, section->offset + at);
        if (error)
            return error;
        at += length;
        if (!go_on())
            return -ECANCELED;
    }
    return 0;
}

static int inflate_all(const struct elf_file *file, const struct dwarf_section *section,
                       z_stream *stream, unsigned char packed[PACKED_AT_ONCE], bool (*go_on)(void))
{
    int status = Z_OK;
    for (uint64_t at = 0; status == Z_OK && at < section->stored;) {
        uint64_t left = section->stored - at;
        size_t length = left < PACKED_AT_ONCE ? left : PACKED_AT_ONCE;
        int error = elf_file_read(file, packed, length, section->offset + at);
        if (error)
            return error;
        stream->next_in = packed;
        stream->avail_in = (uInt)length;
        // The two bytes of zlib's own header say what inflate would have to check: nothing of use.
        if (at == 0) {
            if (length < 2 || (packed[0] & 15) != Z_DEFLATED || packed[1] & 32)
                return -EBADMSG;
            stream->next_in += 2;
            stream->avail_in -= 2;
        }
        status = inflate(stream, Z_NO_FLUSH);
        at += length;
        if (!go_on())
            return -ECANCELED;
    }
    return status == Z_STREAM_END && stream->avail_out == 0 ? 0 : -EBADMSG;
}

// Without zlib's checksum, which costs a sixth of the time: what reads these bytes has to be ready
// for any.
static int read_packed_data(const struct elf_file *file, const struct dwarf_section *section,
                            unsigned char *into, bool (*go_on)(void))
{
    unsigned char packed[PACKED_AT_ONCE];
    z_stream stream = {.next_out = into, .avail_out = (uInt)section->size};
    if (section->size > UINT_MAX)
        return -EFBIG;
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
        return -ENOMEM;
    int error = inflate_all(file, section, &stream, packed, go_on);
    inflateEnd(&stream);
    return error;
}

int dwarf_section_load(const struct elf_file *file, const struct dwarf_section *section, void *into,
                       bool (*go_on)(void))
{
    return section->packed ? read_packed_data(file, section, into, go_on)
                           : read_plain(file, section, into, go_on);
}
