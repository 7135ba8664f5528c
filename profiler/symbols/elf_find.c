#include "profiler/symbols/elf_find.h"

#include "profiler/base/memory.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#define DEBUG_DIRECTORY "/usr/lib/debug"

enum { DEBUG_LINK_MAX = 4096, CRC_CHUNK = 1 << 20 };

static bool same_build_id(const struct elf_file *file, const unsigned char *build_id, size_t length)
{
    return length && file->build_id_length == length &&
           memcmp(file->build_id, build_id, length) == 0;
}

// A build id decides where both have one: the device of a mapping is not always the one that stat
// tells (overlay file systems), and an inode's contents may have been written over.
static bool is_mapped(const struct elf_file *file, const struct mapping *mapping)
{
    if (mapping->build_id_length && file->build_id_length)
        return same_build_id(file, mapping->build_id, mapping->build_id_length);
    return file->device == mapping->device && file->inode == mapping->inode;
}

int elf_find_mapped(const struct mapping *mapping, struct elf_file *ret)
{
    const char *const paths[] = {mapping->path, "/proc/thread-self/exe"};
    int result = -ENOENT;
    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
        if (paths[i][0] != '/')
            continue;
        struct elf_file file;
        int error = elf_file_open(paths[i], &file);
        if (!error && is_mapped(&file, mapping)) {
            *ret = file;
            return 0;
        }
        if (!error) {
            elf_file_close(&file);
            error = -ESTALE;
        }
        if (i == 0)
            result = error;
    }
    return result;
}

int elf_find_build_id(const unsigned char *build_id, size_t length, struct elf_file *ret)
{
    static const char digits[] = "0123456789abcdef";
    static const char start[] = DEBUG_DIRECTORY "/.build-id/";
    static const char end[] = ".debug";
    char path[sizeof(start) + (size_t)2 * BUILD_ID_MAX + 1 + sizeof(end)];
    if (length < 2 || length > BUILD_ID_MAX)
        return -ENOENT;
    size_t at = sizeof(start) - 1;
    memcpy(path, start, at);
    for (size_t i = 0; i < length; i++) {
        path[at++] = digits[build_id[i] >> 4];
        path[at++] = digits[build_id[i] & 15];
        if (i == 0)
            path[at++] = '/';
    }
    memcpy(path + at, end, sizeof(end));
    struct elf_file file;
    if (elf_file_open(path, &file))
        return -ENOENT;
    if (!same_build_id(&file, build_id, length)) {
        elf_file_close(&file);
        return -ENOENT;
    }
    *ret = file;
    return 0;
}

static bool has_checksum(const struct elf_file *file, uint32_t wanted)
{
    unsigned char *chunk = memory_map(CRC_CHUNK);
    if (!chunk)
        return false;
    uLong sum = crc32(0, NULL, 0);
    bool read = true;
    for (uint64_t at = 0; at < file->size && read; at += CRC_CHUNK) {
        uint64_t left = file->size - at;
        size_t length = left < CRC_CHUNK ? left : CRC_CHUNK;
        read = elf_file_read(file, chunk, length, at) == 0;
        if (read)
            sum = crc32(sum, chunk, (uInt)length);
    }
    memory_unmap(chunk, CRC_CHUNK);
    return read && sum == wanted;
}

// A linked file with the same build id needs no checksum: that would read all of it.
static bool is_linked(const struct elf_file *candidate, const struct elf_file *file,
                      uint32_t checksum)
{
    if (candidate->device == file->device && candidate->inode == file->inode)
        return false;
    if (file->build_id_length && candidate->build_id_length)
        return same_build_id(candidate, file->build_id, file->build_id_length);
    return has_checksum(candidate, checksum);
}

static int open_linked(const struct elf_file *file, const char *path, const char *name,
                       uint32_t checksum, struct elf_file *ret)
{
    const char *slash = strrchr(path, '/');
    if (!slash || slash - path >= PATH_MAX)
        return -ENOENT;
    static const char *const patterns[][2] = {{"", "/"}, {"", "/.debug/"}, {DEBUG_DIRECTORY, "/"}};
    for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++) {
        char candidate[PATH_MAX];
        int length = snprintf(candidate, sizeof(candidate), "%s%.*s%s%s", patterns[i][0],
                              (int)(slash - path), path, patterns[i][1], name);
        struct elf_file found;
        if (length < 0 || (size_t)length >= sizeof(candidate) || elf_file_open(candidate, &found))
            continue;
        if (is_linked(&found, file, checksum)) {
            *ret = found;
            return 0;
        }
        elf_file_close(&found);
    }
    return -ENOENT;
}

// .gnu_debuglink: a file name, NUL, padding to 4, the checksum of the whole file.
static int find_linked(const struct elf_file *file, const char *path, struct elf_file *ret)
{
    const Elf64_Shdr *section = elf_file_section(file, ".gnu_debuglink");
    struct elf_bytes link;
    if (!section || elf_file_load(file, section, DEBUG_LINK_MAX, &link))
        return -ENOENT;
    int error = -ENOENT;
    const char *name = link.data;
    size_t at = (strlen(name) + 1 + 3) / 4 * 4;
    uint32_t checksum;
    if (name[0] && !strchr(name, '/') && link.size >= sizeof(checksum) &&
        at <= link.size - sizeof(checksum)) {
        memcpy(&checksum, name + at, sizeof(checksum));
        error = open_linked(file, path, name, checksum, ret);
    }
    elf_bytes_release(&link);
    return error;
}

int elf_find_debug(const struct elf_file *file, const char *path, struct elf_file *ret)
{
    if (elf_find_build_id(file->build_id, file->build_id_length, ret) == 0)
        return 0;
    return find_linked(file, path, ret);
}
