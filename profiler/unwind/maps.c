#include "profiler/unwind/maps.h"

#include "profiler/base/intern.h"
#include "profiler/base/lock.h"
#include "profiler/unwind/picture.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/auxv.h>

// All executable mappings at one time. Lies at the start of the buffer it was written into;
// immutable.
struct picture {
    size_t capacity; // of that buffer
    size_t count;
    struct code_map codes[];
};

// Held while /proc/self/maps is read: milliseconds, in a process of many threads.
static struct lock refreshing = LOCK_INIT;
// Guards `current` and what it points to: whoever looks copies what he needs meanwhile.
static struct lock picture_lock = LOCK_INIT;
static struct picture *current;
_Atomic uint32_t maps_current_generation;
// Each distinct path is kept once. Every picture has all of its paths anew, so the table turns as
// one is read, under `refreshing`.
struct intern maps_paths =
    INTERN_INIT("paths of mapped files", "their code is shown by addresses", (size_t)16 << 20);

// Mappings from offset 0 of their file, the latest ones: where ELF headers lie.
enum { HEADS = 32 };

struct reading {
    struct buffer buffer;
    struct image_scratch *scratch;
    struct {
        uintptr_t start;
        uint64_t device;
        uint64_t inode;
    } heads[HEADS];
    unsigned head; // of the newest
};

static const char *keep_path(const char *path)
{
    size_t length;
    const char *kept =
        intern_get(&maps_paths, intern(&maps_paths, path, strlen(path) + 1), &length);
    return kept ? kept : "";
}

// The ELF header of the image to which a mapping belongs; 0: not mapped.
static uintptr_t header_of(const struct reading *reading, const struct proc_map *map)
{
    if (map->offset == 0)
        return map->start;
    for (unsigned i = 0; i < HEADS && map->inode; i++) {
        unsigned at = (reading->head - i) % HEADS;
        if (reading->heads[at].start && reading->heads[at].device == map->device &&
            reading->heads[at].inode == map->inode)
            return reading->heads[at].start;
    }
    return 0;
}

static bool note_mapping(void *context, const struct proc_map *map)
{
    struct reading *reading = context;
    if (map->offset == 0 && map->readable && map->inode) {
        reading->head = (reading->head + 1) % HEADS;
        reading->heads[reading->head].start = map->start;
        reading->heads[reading->head].device = map->device;
        reading->heads[reading->head].inode = map->inode;
    }
    // The vsyscall page is the kernel's and can't be read.
    if (!map->executable || strcmp(map->path, "[vsyscall]") == 0)
        return true;
    struct code_map code = {.mapping = {.start = map->start,
                                        .limit = map->limit,
                                        .offset = map->offset,
                                        // Right for every image whose first segment is at address 0
                                        // and whose segments lie as they do in the file.
                                        .bias = map->start - map->offset,
                                        .device = map->device,
                                        .inode = map->inode,
                                        .path = keep_path(map->path),
                                        .deleted = map->deleted}};
    struct image image;
    uintptr_t header = header_of(reading, map);
    if (header && image_read(header, map->start, map->offset, reading->scratch, &image) == 0) {
        code.mapping.bias = image.bias;
        code.mapping.build_id_length = image.build_id_length;
        memcpy(code.mapping.build_id, image.build_id, sizeof(image.build_id));
        code.eh_frame_hdr = image.eh_frame_hdr;
        code.eh_frame = image.eh_frame;
    }
    buffer_append(&reading->buffer, &code, sizeof(code));
    return !reading->buffer.failed;
}

static const struct code_map *search(const struct picture *picture, uintptr_t address)
{
    size_t low = 0, high = picture ? picture->count : 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (address < picture->codes[middle].mapping.start)
            high = middle;
        else if (address >= picture->codes[middle].mapping.limit)
            low = middle + 1;
        else
            return &picture->codes[middle];
    }
    return NULL;
}

static bool same_code(const struct code_map *a, const struct code_map *b)
{
    return a->mapping.start == b->mapping.start && a->mapping.limit == b->mapping.limit &&
           a->mapping.offset == b->mapping.offset && a->mapping.bias == b->mapping.bias &&
           a->mapping.device == b->mapping.device && a->mapping.inode == b->mapping.inode &&
           a->mapping.path == b->mapping.path &&
           a->mapping.build_id_length == b->mapping.build_id_length &&
           memcmp(a->mapping.build_id, b->mapping.build_id, BUILD_ID_MAX) == 0 &&
           a->eh_frame_hdr.address == b->eh_frame_hdr.address &&
           a->eh_frame.address == b->eh_frame.address;
}

static bool all_still_there(const struct picture *old, const struct picture *fresh)
{
    for (size_t i = 0; old && i < old->count; i++) {
        const struct code_map *now = search(fresh, old->codes[i].mapping.start);
        if (!now || !same_code(&old->codes[i], now))
            return false;
    }
    return true;
}

static int read_picture(struct reading *reading, struct picture **ret)
{
    struct picture *picture;
    buffer_append(&reading->buffer, &(struct picture){0}, sizeof(*picture));
    int error = proc_maps_each(note_mapping, reading);
    if (error)
        return error;
    if (reading->buffer.failed)
        return -ENOMEM;
    picture = (struct picture *)(void *)reading->buffer.data;
    picture->capacity = reading->buffer.capacity;
    picture->count = (reading->buffer.length - sizeof(*picture)) / sizeof(picture->codes[0]);
    *ret = picture;
    return 0;
}

static void put_picture(struct picture *fresh)
{
    lock_acquire(&picture_lock);
    struct picture *old = current;
    if (!all_still_there(old, fresh))
        // Release: pairs with maps_generation's acquire. Whoever still sees the old number and the
        // new picture derives something that is merely thrown away.
        atomic_fetch_add_explicit(&maps_current_generation, 1, memory_order_release);
    current = fresh;
    lock_release(&picture_lock);
    if (old)
        memory_unmap(old, old->capacity);
}

// For callers that hold `refreshing`.
static int refresh_locked(void)
{
    // Too much for the stack of a thread of the application's.
    struct {
        struct reading reading;
        struct image_scratch scratch;
    } *work = memory_map(sizeof(*work));
    if (!work)
        return -ENOMEM;
    work->reading.scratch = &work->scratch;
    struct picture *fresh;
    if (intern_is_due(&maps_paths))
        intern_turn(&maps_paths);
    int error = read_picture(&work->reading, &fresh);
    if (error)
        buffer_release(&work->reading.buffer);
    else
        put_picture(fresh);
    // The paths of the old picture are nobody's now, but of those who copied one before.
    if (error == 0 && maps_paths.old == INTERN_TURNED)
        intern_retire(&maps_paths);
    memory_unmap(work, sizeof(*work));
    return error;
}

void maps_forget_derived(void)
{
    atomic_fetch_add_explicit(&maps_current_generation, 1, memory_order_release);
}

int maps_refresh(void)
{
    lock_acquire(&refreshing);
    int error = refresh_locked();
    lock_release(&refreshing);
    return error;
}

static bool have_picture(void)
{
    lock_acquire(&picture_lock);
    bool have = current;
    lock_release(&picture_lock);
    return have;
}

static int refresh_first_time(void)
{
    if (have_picture())
        return 0;
    lock_acquire(&refreshing);
    int error = have_picture() ? 0 : refresh_locked();
    lock_release(&refreshing);
    return error;
}

bool maps_code(uintptr_t address, struct code_map *ret)
{
    if (refresh_first_time() != 0)
        return false;
    lock_acquire(&picture_lock);
    const struct code_map *code = search(current, address);
    if (code)
        *ret = *code;
    lock_release(&picture_lock);
    return code;
}

bool maps_find(uintptr_t address, struct mapping *ret)
{
    struct code_map code;
    if (!maps_code(address, &code))
        return false;
    *ret = code.mapping;
    return true;
}

static unsigned main_of(const struct mapping *mappings, unsigned count)
{
    // The loader corrects this entry when it was itself started as the program.
    uintptr_t entry = getauxval(AT_ENTRY);
    unsigned at = 0;
    while (at < count && (entry < mappings[at].start || entry >= mappings[at].limit))
        at++;
    if (at == count)
        return 0;
    unsigned first = at;
    while (first && mappings[first - 1].inode == mappings[at].inode &&
           mappings[first - 1].path == mappings[at].path)
        first--;
    return first;
}

int maps_list(struct arena *arena, struct mapping **ret_mappings, unsigned *ret_main)
{
    int error = refresh_first_time();
    if (error)
        return error;
    lock_acquire(&picture_lock);
    size_t count = current->count;
    struct mapping *mappings = arena_alloc(arena, count * sizeof(*mappings));
    for (size_t i = 0; mappings && i < count; i++)
        mappings[i] = current->codes[i].mapping;
    lock_release(&picture_lock);
    if (!mappings)
        return -ENOMEM;
    *ret_mappings = mappings;
    *ret_main = main_of(mappings, (unsigned)count);
    return (int)count;
}

struct line_search {
    uintptr_t address;
    struct proc_map *found;
    bool main_stack;
};

static bool note_line(void *context, const struct proc_map *map)
{
    struct line_search *line = context;
    if (line->address >= map->limit)
        return true;
    if (line->address >= map->start) {
        *line->found = *map;
        line->found->path = NULL;
        line->main_stack = strcmp(map->path, "[stack]") == 0;
        line->found = NULL;
    }
    return false;
}

bool maps_line_of(uintptr_t address, struct proc_map *ret, bool *ret_main_stack)
{
    struct line_search line = {.address = address, .found = ret};
    if (proc_maps_each(note_line, &line) != 0 || line.found)
        return false;
    *ret_main_stack = line.main_stack;
    return true;
}

void maps_after_fork(void)
{
    // `current` changes by a single store, so it is one picture or the other, and whole.
    lock_reset(&refreshing);
    lock_reset(&picture_lock);
}
