#include "cli/program.h"

#include "cli/complain.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__x86_64__)
enum { MACHINE = EM_X86_64 };
#elif defined(__aarch64__)
enum { MACHINE = EM_AARCH64 };
#endif

enum { SCRIPTS_MAX = 5, HEADERS_MAX = 128 };

// The interpreter of a script, from its first line.
static bool script_interpreter(const char *head, char into[PATH_MAX])
{
    const char *start = head + 2 + strspn(head + 2, " \t");
    size_t length = strcspn(start, " \t\r\n");
    if (!length || length >= PATH_MAX)
        return false;
    memcpy(into, start, length);
    into[length] = '\0';
    return true;
}

// The loader that an ELF file asks for. false: it asks for none.
static bool elf_loader(int fd, const Elf64_Ehdr *header, char into[PATH_MAX])
{
    for (unsigned i = 0; i < header->e_phnum && i < HEADERS_MAX; i++) {
        Elf64_Phdr segment;
        off_t at = (off_t)(header->e_phoff + (uint64_t)i * sizeof(segment));
        if (pread(fd, &segment, sizeof(segment), at) != sizeof(segment))
            return false;
        if (segment.p_type != PT_INTERP)
            continue;
        if (!segment.p_filesz || segment.p_filesz >= PATH_MAX ||
            pread(fd, into, segment.p_filesz, (off_t)segment.p_offset) != (ssize_t)segment.p_filesz)
            return false;
        into[segment.p_filesz] = '\0';
        return true;
    }
    return false;
}

static int look_at_elf(int fd, const char *path, const Elf64_Ehdr *header)
{
    char loader[PATH_MAX];
    if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_machine != MACHINE ||
        header->e_phentsize != sizeof(Elf64_Phdr)) {
        complain("%s is for another processor than this taskprof, which can't be loaded into it",
                 path);
        return EXIT_OURS;
    }
    if (!elf_loader(fd, header, loader)) {
        complain("%s is statically linked: nothing can be preloaded into it. Link it dynamically, "
                 "or with libtaskprof",
                 path);
        return EXIT_OURS;
    }
    if (!strstr(loader, "ld-linux")) {
        complain("%s is loaded by %s, which is not glibc's loader: taskprof needs glibc", path,
                 loader);
        return EXIT_OURS;
    }
    return 0;
}

// Of set-user-ID programs the loader ignores LD_PRELOAD, so as not to lend their rights.
static int look_at_rights(const char *path, const struct stat *status)
{
    bool other_user = status->st_mode & S_ISUID && status->st_uid != geteuid();
    bool other_group = status->st_mode & S_ISGID && status->st_gid != getegid();
    if (!other_user && !other_group)
        return 0;
    complain("%s changes its user or group as it starts (set-%s-ID), and the loader preloads "
             "nothing into such a program. Start it as that user",
             path, other_user ? "user" : "group");
    return EXIT_OURS;
}

static int look_at(const char *path, int scripts)
{
    union {
        Elf64_Ehdr elf;
        char text[PATH_MAX];
    } head = {.text = ""};
    struct stat status;
    // One that may be executed and not read can't be judged; it is simply started.
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    int result = 0;
    ssize_t got = read(fd, head.text, sizeof(head.text) - 1);
    bool is_elf = got >= (ssize_t)sizeof(head.elf) && memcmp(head.text, ELFMAG, SELFMAG) == 0;
    if (is_elf && fstat(fd, &status) == 0)
        result = look_at_rights(path, &status);
    if (is_elf && result == 0)
        result = look_at_elf(fd, path, &head.elf);
    close(fd);
    char interpreter[PATH_MAX];
    if (got > 2 && memcmp(head.text, "#!", 2) == 0 && scripts < SCRIPTS_MAX &&
        script_interpreter(head.text, interpreter))
        result = look_at(interpreter, scripts + 1);
    return result;
}

// Whether this may be executed. Remembers in *error why not, if something is there.
static bool is_program(const char *path, int *error)
{
    struct stat status;
    if (stat(path, &status) != 0)
        return false;
    if (S_ISREG(status.st_mode) && access(path, X_OK) == 0)
        return true;
    *error = S_ISDIR(status.st_mode) ? EISDIR : EACCES;
    return false;
}

static bool find_in_path(const char *command, char into[PATH_MAX], int *error)
{
    const char *path = getenv("PATH");
    // What execvp takes when there is none.
    const char *at = path ? path : "/bin:/usr/bin";
    for (;;) {
        size_t length = strcspn(at, ":");
        int written =
            snprintf(into, PATH_MAX, "%.*s%s%s", (int)length, at, length ? "/" : "./", command);
        if (written > 0 && written < PATH_MAX && is_program(into, error))
            return true;
        if (!at[length])
            return false;
        at += length + 1;
    }
}

int program_find(const char *command, char into[PATH_MAX])
{
    int error = ENOENT;
    bool found;
    if (strchr(command, '/')) {
        snprintf(into, PATH_MAX, "%s", command);
        found = strlen(command) < PATH_MAX && is_program(into, &error);
    } else {
        found = command[0] && find_in_path(command, into, &error);
    }
    if (found)
        return look_at(into, 0);
    if (error == ENOENT) {
        complain(strchr(command, '/') ? "%s: there is no such file"
                                      : "%s: no such program in any folder of PATH",
                 command);
        return EXIT_NOT_FOUND;
    }
    complain("%s: %s", command,
             error == EISDIR ? "that is a folder, not a program"
                             : "it may not be executed; chmod +x would let it");
    return EXIT_NOT_EXECUTABLE;
}
