#include "profiler/symbols/symbol_draft.h"

#include "profiler/symbols/symbol_text.h"

#include <string.h>

static const char *text_of(const char *text)
{
    return text ? symbol_text(text, strlen(text)) : "";
}

void symbol_draft_names(const struct symbol_module *module, uintptr_t address,
                        struct symbol_draft *ret)
{
    ret->generation = symbol_cache_generation();
    ret->address = address;
    ret->entry = 0;
    ret->count = 1;
    ret->has_lines = false;
    ret->frames[0] = (struct symbol_frame){.function = "", .file = ""};
    struct elf_symbol symbol;
    if (!module || !elf_symbols_find(&module->names, address - 1 - module->names.bias, &symbol))
        return;
    ret->frames[0].function = symbol_text(symbol.name, symbol.length);
    ret->entry = symbol.entry + module->names.bias;
}

void symbol_draft_lines(const struct symbol_module *module, uintptr_t address,
                        struct symbol_draft *ret)
{
    symbol_draft_names(module, address, ret);
    uint64_t place = address - 1 - module->mapping.bias;
    struct dwarf_answer answer;
    if (!dwarf_lines_find(module->lines, place, &answer))
        return;
    const char *name = ret->frames[0].function;
    if (!name[0] || !dwarf_answer_lacks_name(&answer, name, strlen(name)))
        name = NULL;
    ret->count = answer.count;
    ret->has_lines = true;
    for (unsigned i = 0; i < answer.count; i++) {
        const struct dwarf_frame *frame = &answer.frames[i];
        bool real = i + 1 == answer.count;
        ret->frames[i] = (struct symbol_frame){
            .function = real && name ? name : text_of(frame->function),
            .file = text_of(frame->file),
            .line = frame->line,
            .start_line = frame->start_line,
        };
        ret->has_lines = ret->has_lines && ret->frames[i].file[0] && frame->line;
    }
    // Of a function in several parts (hot, cold) the entry may lie behind the address: then the
    // symbol table's, which has a symbol for each part, is the better one.
    if (answer.entry && answer.entry <= place)
        ret->entry = answer.entry + module->mapping.bias;
}
