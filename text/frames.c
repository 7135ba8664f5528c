#include "text/frames.h"

#include "text/words.h"

#include <string.h>

// What stands for an address that could not even be looked up.
static const struct symbol_frame nameless = {.function = "", .file = ""};

void frames_function(struct buffer *out, const struct snapshot *snapshot, const char *function,
                     uintptr_t address)
{
    if (function[0]) {
        words_plain(out, function);
        return;
    }
    const struct mapping *mapping = snapshot_find_mapping(snapshot, address);
    if (!mapping || !mapping->path[0]) {
        buffer_string(out, "??");
        return;
    }
    const char *slash = strrchr(mapping->path, '/');
    words_plain(out, slash ? slash + 1 : mapping->path);
    buffer_string(out, "+0x");
    buffer_hex(out, address - mapping->bias);
}

void frames_place(struct buffer *out, const struct symbol_frame *frame)
{
    if (!frame->file[0]) {
        buffer_string(out, "??:0");
        return;
    }
    words_plain(out, frame->file);
    buffer_char(out, ':');
    buffer_unsigned(out, frame->line);
}

bool frames_is_go_file(const char *file)
{
    const char *dot = strrchr(file, '.');
    return dot && (strcmp(dot, ".c") == 0 || strcmp(dot, ".go") == 0 || strcmp(dot, ".s") == 0);
}

enum frame_style { FRAME_ADDRESS, FRAME_GO, FRAME_GO_FILES };

static void one_frame(struct buffer *out, const struct snapshot *snapshot, enum frame_style style,
                      const char *prefix, uintptr_t address, const struct symbol *symbol,
                      const struct symbol_frame *frame)
{
    uintptr_t offset =
        symbol && symbol->entry && address > symbol->entry ? address - symbol->entry : 0;
    if (style == FRAME_ADDRESS) {
        buffer_string(out, prefix);
        buffer_string(out, "\t0x");
        buffer_hex(out, address);
        buffer_char(out, '\t');
        frames_function(out, snapshot, frame->function, address);
        buffer_string(out, "+0x");
        buffer_hex(out, offset);
        buffer_char(out, '\t');
        frames_place(out, frame);
    } else {
        bool moved = style == FRAME_GO_FILES && frame->file[0] && !frames_is_go_file(frame->file);
        frames_function(out, snapshot, frame->function, address);
        if (moved) {
            buffer_char(out, ' ');
            frames_place(out, frame);
        }
        buffer_string(out, "(...)\n\t");
        frames_place(out, moved ? &nameless : frame);
        buffer_string(out, " +0x");
        buffer_hex(out, offset);
    }
    buffer_char(out, '\n');
}

static void frames(struct buffer *out, const struct snapshot *snapshot, enum frame_style style,
                   const char *prefix, stack_id id)
{
    enum { BATCH = 64 };
    const struct stack *stack = stack_get(id);
    for (uint32_t done = 0; done < stack->depth; done += BATCH) {
        const struct symbol *symbols[BATCH] = {NULL};
        uint32_t count = stack->depth - done < BATCH ? stack->depth - done : BATCH;
        // A time-out leaves names without lines: still an answer.
        symbols_resolve(stack->frames + done, count, symbols);
        for (uint32_t i = 0; i < count; i++) {
            const struct symbol *symbol = symbols[i];
            uintptr_t address = stack->frames[done + i];
            for (unsigned f = 0; f < (symbol ? symbol->count : 1); f++)
                one_frame(out, snapshot, style, prefix, address, symbol,
                          symbol ? &symbol->frames[f] : &nameless);
        }
    }
}

void frames_by_address(struct buffer *out, const struct snapshot *snapshot, stack_id stack,
                       const char *prefix)
{
    frames(out, snapshot, FRAME_ADDRESS, prefix, stack);
}

void frames_as_go(struct buffer *out, const struct snapshot *snapshot, stack_id stack,
                  bool go_files)
{
    frames(out, snapshot, go_files ? FRAME_GO_FILES : FRAME_GO, "", stack);
}

const char *frames_end_text(uint32_t end)
{
    if (end & STACK_NOT_KEPT)
        return "not kept: there was no room for more stacks";
    if (end & STACK_TOO_DEEP)
        return "deeper than is kept";
    if (end & STACK_NO_RULE)
        return "code without unwind information";
    if (end & STACK_BAD_FRAME)
        return "a frame outside the stack";
    if (end & STACK_NO_REGISTER)
        return "a register that is not known";
    return "";
}
