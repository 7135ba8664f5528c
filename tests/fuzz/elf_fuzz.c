// The reader of ELF symbol tables, on files that are anything: no crash, no read out of bounds, and
// every name it gives lies within the file's strings.

#include "profiler/symbols/elf_symbols_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const struct elf_symbols *symbols)
{
    const struct range *ranges = ranges_of(&symbols->ranges);
    for (size_t i = 0; i < ranges_count(&symbols->ranges); i++) {
        struct elf_symbol symbol;
        if (i && ranges[i - 1].high > ranges[i].low)
            abort();
        if (!elf_symbols_find(symbols, ranges[i].low, &symbol) || !symbol.length ||
            symbol.name + symbol.length >
                (const char *)symbols->strings.data + symbols->strings.size)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0)
        return 0;
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    struct elf_file file;
    if (write(fd, data, size) == (ssize_t)size && elf_file_open(path, &file) == 0) {
        struct elf_symbols symbols;
        if (elf_symbols_load_file(&file, "/nonexistent/file", &symbols) == 0) {
            use(&symbols);
            elf_symbols_release(&symbols);
        }
        elf_file_close(&file);
    }
    close(fd);
    return 0;
}
