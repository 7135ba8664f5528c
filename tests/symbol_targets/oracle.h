// What addr2line and eu-addr2line say of addresses, read into the same form as our answers.

#pragma once

#include "tests/symbol_targets/targets.h"

enum oracle_tool { ORACLE_BINUTILS, ORACLE_ELFUTILS };

enum { ORACLE_FRAMES_MAX = 64 };

struct oracle_frame {
    char *function;
    char *file;
    unsigned line;
};

struct oracle_answer {
    uint64_t address;
    unsigned count;
    struct oracle_frame frames[ORACLE_FRAMES_MAX];
};

static inline bool oracle_cut_number(char *text, unsigned *ret)
{
    char *colon = strrchr(text, ':');
    char *end;
    if (!colon || !colon[1])
        return false;
    unsigned long value = strtoul(colon + 1, &end, 10);
    bool unknown = strcmp(colon + 1, "?") == 0;
    if (*end && !unknown)
        return false;
    *ret = unknown ? 0 : (unsigned)value;
    *colon = '\0';
    return true;
}

// "FILE:LINE (discriminator N)" of binutils, "FILE:LINE:COLUMN" of elfutils.
static inline void oracle_place(char *text, enum oracle_tool tool, struct oracle_frame *frame)
{
    char *extra = strstr(text, " (discriminator");
    if (extra)
        *extra = '\0';
    unsigned number = 0;
    frame->line = 0;
    if (oracle_cut_number(text, &number))
        frame->line = number;
    if (tool == ORACLE_ELFUTILS && oracle_cut_number(text, &number))
        frame->line = number;
    frame->file = strdup(text);
}

// Asks about `count` addresses of a file, in order. Free with oracle_free.
static inline struct oracle_answer *oracle_ask(enum oracle_tool tool, const char *path,
                                               const uint64_t *addresses, size_t count)
{
    char list[] = "addresses-XXXXXX";
    int fd = mkstemp(list);
    assert_true(fd >= 0);
    FILE *input = fdopen(fd, "w");
    for (size_t i = 0; i < count; i++)
        fprintf(input, "0x%lx\n", addresses[i]);
    assert_int_equal(fclose(input), 0);
    char command[2048];
    snprintf(command, sizeof(command), "%s -a -f -i -e %s < %s 2>/dev/null",
             tool == ORACLE_BINUTILS ? "addr2line" : "eu-addr2line", path, list);
    FILE *output = popen(command, "r");
    assert_non_null(output);
    struct oracle_answer *answers = calloc(count, sizeof(*answers));
    assert_non_null(answers);
    static char text[1 << 20];
    size_t at = 0;
    bool place = false;
    while (fgets(text, sizeof(text), output)) {
        text[strcspn(text, "\n")] = '\0';
        if (strncmp(text, "0x", 2) == 0) {
            assert_true(at < count);
            answers[at++].address = strtoull(text, NULL, 16);
            assert_true(answers[at - 1].address == addresses[at - 1]);
            place = false;
            continue;
        }
        assert_true(at > 0);
        struct oracle_answer *answer = &answers[at - 1];
        assert_true(answer->count < ORACLE_FRAMES_MAX);
        struct oracle_frame *frame = &answer->frames[answer->count];
        if (place) {
            oracle_place(text, tool, frame);
            answer->count++;
        } else {
            char *inlined = strstr(text, " inlined at ");
            if (inlined)
                *inlined = '\0';
            frame->function = strdup(text);
        }
        place = !place;
    }
    assert_int_equal(pclose(output), 0);
    assert_int_equal(at, count);
    unlink(list);
    return answers;
}

static inline void oracle_free(struct oracle_answer *answers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (unsigned j = 0; j < answers[i].count; j++) {
            free(answers[i].frames[j].function);
            free(answers[i].frames[j].file);
        }
    free(answers);
}

// At most `max` addresses spread evenly over the functions that nm lists for a file.
static inline size_t oracle_addresses(const char *path, uint64_t *addresses, size_t max)
{
    char command[1024];
    snprintf(command, sizeof(command), "nm -S --defined-only %s | grep -i ' [tw] '", path);
    size_t bytes = 0;
    size_t count = 0;
    for (int pass = 0; pass < 2; pass++) {
        FILE *nm = popen(command, "r");
        assert_non_null(nm);
        char text[8192];
        size_t at = 0;
        size_t stride = bytes / max + 1;
        while (fgets(text, sizeof(text), nm)) {
            uint64_t low;
            uint64_t size;
            if (sscanf(text, "%lx %lx", &low, &size) != 2)
                continue;
            if (pass == 0)
                bytes += size;
            for (uint64_t i = 0; pass == 1 && i < size; i++, at++)
                if (at % stride == 0 && count < max)
                    addresses[count++] = low + i;
        }
        pclose(nm);
    }
    return count;
}
