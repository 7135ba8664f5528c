// Names for addresses all over an ELF file's code.
//
//     symbolise ELF COUNT OUTPUT
//
// OUTPUT gets a line "ADDRESS FUNCTION" for each, by address: the file's own, decimal, of the call
// (a byte before the return address). Status 2: not a file whose code can be mapped.

#include "bench/bench.h"
#include "profiler/snapshot/snapshot.h"
#include "profiler/symbols/symbols.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ATTEMPTS = 100, NOT_USABLE = 2 };

// Where the code lies, in the file and as the file's own addresses have it.
struct code {
    uint64_t offset;
    uint64_t address;
    uint64_t size;
};

static void larger(struct code *code, uint64_t offset, uint64_t address, uint64_t size,
                   uint64_t file_size)
{
    if (size > code->size && offset < file_size && size <= file_size - offset)
        *code = (struct code){offset, address, size};
}

// The largest section of code: segments hold data besides.
static struct code find_code(int fd)
{
    Elf64_Ehdr header;
    struct stat stat;
    struct code code = {0};
    if (fd < 0 || fstat(fd, &stat) < 0 || pread(fd, &header, sizeof(header), 0) != sizeof(header) ||
        memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
        header.e_machine != EM_X86_64 || (header.e_type != ET_EXEC && header.e_type != ET_DYN) ||
        header.e_shentsize != sizeof(Elf64_Shdr))
        exit(NOT_USABLE);
    for (unsigned i = 0; i < header.e_shnum; i++) {
        Elf64_Shdr section;
        if (pread(fd, &section, sizeof(section), (off_t)(header.e_shoff + i * sizeof(section))) !=
            sizeof(section))
            exit(NOT_USABLE);
        if (section.sh_type == SHT_PROGBITS && section.sh_flags & SHF_EXECINSTR)
            larger(&code, section.sh_offset, section.sh_addr, section.sh_size,
                   (uint64_t)stat.st_size);
    }
    if (code.size == 0)
        exit(NOT_USABLE);
    return code;
}

// Maps it as the loader would.
static uintptr_t map_code(const char *path, struct code *ret_code)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    *ret_code = find_code(fd);
    size_t skew = ret_code->offset % 4096;
    char *start = mmap(NULL, ret_code->size + skew, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd,
                       (off_t)(ret_code->offset - skew));
    if (start == MAP_FAILED)
        bench_fail("%s: %s", path, strerror(errno));
    close(fd);
    return (uintptr_t)start + skew;
}

static atomic_bool over;

// Snapshots while names are looked up: these must not wait for those.
static void *keep_snapping(void *unused)
{
    uint64_t longest = 0;
    (void)unused;
    while (!atomic_load(&over)) {
        struct snapshot *snapshot;
        uint64_t start = clock_monotonic_ns();
        if (snapshot_take(0, 0, &snapshot) < 0)
            bench_fail("no snapshot");
        uint64_t took = clock_monotonic_ns() - start;
        longest = took > longest ? took : longest;
        snapshot_free(snapshot);
        usleep(1000);
    }
    bench_say("snapshot_longest_ns", (double)longest);
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 4)
        bench_fail("usage: symbolise ELF COUNT OUTPUT");
    size_t count = bench_count(argv[2]);
    struct code code;
    uintptr_t start_of_code = map_code(argv[1], &code);
    uintptr_t *addresses = calloc(count, sizeof(*addresses));
    const struct symbol **symbols = calloc(count, sizeof(*symbols));
    FILE *out = fopen(argv[3], "we");
    if (!addresses || !symbols || !out || code.size < 2 * count)
        exit(NOT_USABLE);
    for (size_t i = 0; i < count; i++)
        addresses[i] = start_of_code + 1 + i * ((code.size - 1) / count);
    if (symbols_start() < 0)
        bench_fail("no thread for symbols");
    pthread_t snapper;
    if (pthread_create(&snapper, NULL, keep_snapping, NULL) != 0)
        bench_fail("no thread");

    int result = -ETIMEDOUT;
    int attempts = 0;
    uint64_t start = clock_monotonic_ns();
    while (result == -ETIMEDOUT && attempts++ < ATTEMPTS)
        result = symbols_resolve(addresses, count, symbols);
    bench_say("symbolise_ns", (double)(clock_monotonic_ns() - start));
    atomic_store(&over, true);
    pthread_join(snapper, NULL);

    start = clock_monotonic_ns();
    symbols_resolve(addresses, count, symbols);
    bench_say("again_ns", (double)(clock_monotonic_ns() - start));
    size_t named = 0, lines = 0;
    for (size_t i = 0; i < count; i++) {
        const struct symbol *symbol = symbols[i];
        const char *function = symbol->frames[symbol->count - 1].function;
        named += function[0] != '\0';
        lines += symbol->has_lines;
        fprintf(out, "%lu %s\n", (unsigned long)(code.address + (addresses[i] - 1 - start_of_code)),
                function[0] ? function : "??");
    }
    if (fclose(out) != 0)
        bench_fail("%s can't be written", argv[3]);
    bench_say("result", result);
    bench_say("attempts", attempts);
    bench_say("named", (double)named);
    bench_say("lines", (double)lines);
    return 0;
}
