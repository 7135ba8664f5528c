// Names for addresses all over an ELF file's code.
//
//     symbolise ELF COUNT OUTPUT
//
// OUTPUT gets a line "0xADDRESS FUNCTION" for each, with the address as the file has it, of the
// call (a byte before the return address). Status 2: not a file whose code can be mapped.

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

// The largest executable segment, mapped as the loader would.
static uintptr_t map_code(const char *path, Elf64_Phdr *ret_segment)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    Elf64_Ehdr header;
    struct stat stat;
    *ret_segment = (Elf64_Phdr){0};
    if (fd < 0 || fstat(fd, &stat) < 0 || pread(fd, &header, sizeof(header), 0) != sizeof(header) ||
        memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
        header.e_machine != EM_X86_64 || header.e_phentsize != sizeof(Elf64_Phdr))
        exit(NOT_USABLE);
    for (unsigned i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr segment;
        if (pread(fd, &segment, sizeof(segment), (off_t)(header.e_phoff + i * sizeof(segment))) !=
            sizeof(segment))
            exit(NOT_USABLE);
        if (segment.p_type == PT_LOAD && segment.p_flags & PF_X &&
            segment.p_filesz > ret_segment->p_filesz &&
            segment.p_offset + segment.p_filesz <= (uint64_t)stat.st_size)
            *ret_segment = segment;
    }
    if (ret_segment->p_filesz == 0)
        exit(NOT_USABLE);
    size_t skew = ret_segment->p_offset % 4096;
    char *code = mmap(NULL, ret_segment->p_filesz + skew, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd,
                      (off_t)(ret_segment->p_offset - skew));
    if (code == MAP_FAILED)
        bench_fail("%s: %s", path, strerror(errno));
    close(fd);
    return (uintptr_t)code + skew;
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
    Elf64_Phdr segment;
    uintptr_t code = map_code(argv[1], &segment);
    uintptr_t *addresses = calloc(count, sizeof(*addresses));
    const struct symbol **symbols = calloc(count, sizeof(*symbols));
    FILE *out = fopen(argv[3], "we");
    if (!addresses || !symbols || !out || segment.p_filesz < 2 * count)
        exit(NOT_USABLE);
    for (size_t i = 0; i < count; i++)
        addresses[i] = code + 1 + i * ((segment.p_filesz - 1) / count);
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
        fprintf(out, "0x%lx %s\n", (unsigned long)(segment.p_vaddr + (addresses[i] - 1 - code)),
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
