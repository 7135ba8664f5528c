#include "profiler/unwind/module.h"

#include "profiler/base/memory.h"
#include "profiler/base/safe_read.h"

struct module {
    struct module *next;
    struct image_range header;
    struct image_range frames;
    uintptr_t text;   // the start of a mapping of its code
    const char *path; // compared, and never read: it may be gone
    unsigned build_id_length;
    unsigned char build_id[BUILD_ID_MAX];
    struct cfi_sections sections;
};

// All guarded by the rules' lock. Records come from an arena that is never released: as many as
// there were ever files at one time.
static struct module *modules;
static struct module *spare;
static struct arena records;

static bool is_of(const struct module *module, const struct code_map *code)
{
    return module->header.address == code->eh_frame_hdr.address &&
           module->frames.address == code->eh_frame.address &&
           module->frames.length == code->eh_frame.length && module->path == code->mapping.path &&
           module->build_id_length == code->mapping.build_id_length &&
           memcmp(module->build_id, code->mapping.build_id, BUILD_ID_MAX) == 0;
}

// Copies a range of memory that may vanish meanwhile; what could be read is the section.
static struct cfi_section copy_section(struct image_range range)
{
    struct cfi_section section = {.address = range.address};
    uint8_t *bytes = range.length ? memory_map(range.length) : NULL;
    if (!bytes)
        return section;
    while (section.length < range.length) {
        ssize_t got = safe_read(range.address + section.length, bytes + section.length,
                                range.length - section.length);
        if (got <= 0)
            break;
        section.length += (size_t)got;
    }
    section.bytes = bytes;
    return section;
}

static struct module *record(void)
{
    struct module *module = spare;
    if (module)
        spare = module->next;
    else
        module = arena_alloc(&records, sizeof(*module));
    return module;
}

const struct cfi_sections *module_sections(const struct code_map *code)
{
    if (!code->eh_frame.length)
        return NULL;
    for (struct module *module = modules; module; module = module->next)
        if (is_of(module, code))
            return &module->sections;
    struct module *module = record();
    if (!module)
        return NULL;
    *module = (struct module){.next = modules,
                              .header = code->eh_frame_hdr,
                              .frames = code->eh_frame,
                              .text = code->mapping.start,
                              .path = code->mapping.path,
                              .build_id_length = code->mapping.build_id_length};
    memcpy(module->build_id, code->mapping.build_id, BUILD_ID_MAX);
    module->sections.header = copy_section(code->eh_frame_hdr);
    module->sections.frames = copy_section(code->eh_frame);
    modules = module;
    return &module->sections;
}

void modules_prune(void)
{
    struct module **link = &modules;
    while (*link) {
        struct module *module = *link;
        struct code_map code;
        if (maps_code(module->text, &code) && is_of(module, &code)) {
            link = &module->next;
            continue;
        }
        memory_unmap((void *)module->sections.header.bytes, module->header.length);
        memory_unmap((void *)module->sections.frames.bytes, module->frames.length);
        *link = module->next;
        module->next = spare;
        spare = module;
    }
}

void modules_after_fork(void)
{
    modules = NULL;
    spare = NULL;
    records = (struct arena){0};
}
