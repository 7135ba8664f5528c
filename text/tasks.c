// debug=2 of the goroutine profile: every task with its stack, in the form of Go's own dumps, which
// people and panicparse read. Tasks of the same group have the same frames: they are rendered once
// and copied.

#include "profiler/symbols/origin.h"
#include "text/frames.h"
#include "text/locks.h"
#include "text/missing.h"
#include "text/pick.h"
#include "text/task_header.h"
#include "text/text.h"
#include "text/words.h"

#include <errno.h>
#include <string.h>

enum {
    BLOCKS_BYTES = 4 << 20, // of rendered groups kept; with 28 bytes a task this is a dump's memory
    PIECE = 32 * 1024,      // a piece is no longer, but for its last task
};

// What is the same in all tasks of a group, in two parts: what stands before the creator's number
// and what stands behind it.
struct block {
    uint32_t at;     // in `blocks`
    uint32_t before; // bytes; 0: not rendered yet
    uint32_t behind;
};

struct tasks {
    struct text text;
    struct filter filter;
    struct block *block_of; // by group
    struct buffer blocks;   // at most BLOCKS_BYTES
    struct buffer spare;    // a block for which there is no room
    struct pick pick;
    size_t next;    // of those picked
    size_t holders; // of those picked, at their end: shown for the sake of others
    bool started;
    bool ended;
};

static void render_block(struct buffer *out, const struct snapshot *snapshot,
                         const struct snapshot_group *group, bool go_files, uint32_t *ret_before)
{
    const struct stack *stack = stack_get(group->stack);
    if (stack->depth == 0)
        // Go's own words for a stack that it can't walk; its parsers know them.
        buffer_string(out, "\tgoroutine running on other thread; stack unavailable\n");
    frames_as_go(out, snapshot, group->stack, go_files);
    if (stack->depth && stack->end)
        buffer_string(out, "...additional frames elided...\n");
    *ret_before = (uint32_t)out->length;
    struct origin origin = origin_of(group->creation);
    if (origin.address == 0)
        return;
    buffer_string(out, "created by ");
    frames_function(out, snapshot, origin.frame->function, origin.address);
    *ret_before = (uint32_t)out->length;
    buffer_string(out, "\n\t");
    if (go_files && !frames_is_go_file(origin.frame->file))
        buffer_string(out, "?"
                           "?:0");
    else
        frames_place(out, origin.frame);
    buffer_string(out, " +0x");
    buffer_hex(out,
               origin.entry && origin.address > origin.entry ? origin.address - origin.entry : 0);
    buffer_char(out, '\n');
}

// The two parts of a group's block.
static void block_get(struct tasks *tasks, uint32_t group_index, const char **ret_text,
                      uint32_t *ret_before, uint32_t *ret_behind)
{
    const struct snapshot *snapshot = tasks->text.snapshot;
    const struct snapshot_group *group = &snapshot->groups[group_index];
    struct block *block = &tasks->block_of[group_index];
    if (!block->before) {
        struct buffer *spare = &tasks->spare;
        uint32_t before;
        spare->length = 0;
        render_block(spare, snapshot, group, tasks->filter.go_files, &before);
        if (spare->failed) {
            tasks->text.out.failed = true;
            *ret_before = *ret_behind = 0;
            return;
        }
        *ret_text = spare->data;
        *ret_before = before;
        *ret_behind = (uint32_t)spare->length - before;
        // Of a group of one nothing is needed twice.
        if (group->count == 1 || spare->length > BLOCKS_BYTES - tasks->blocks.length)
            return;
        uint32_t at = (uint32_t)tasks->blocks.length;
        buffer_append(&tasks->blocks, spare->data, spare->length);
        if (tasks->blocks.failed) {
            // Without memory for it, each block is rendered anew.
            tasks->blocks.failed = false;
            return;
        }
        *block = (struct block){at, *ret_before, *ret_behind};
    }
    *ret_text = tasks->blocks.data + block->at;
    *ret_before = block->before;
    *ret_behind = block->behind;
}

static void one_task(struct tasks *tasks, const struct snapshot_task *task,
                     struct details_reader *reader)
{
    struct buffer *out = &tasks->text.out;
    struct task_details details = {0};
    bool here = snapshot_task_details(tasks->text.snapshot, task, reader, &details);
    const char *text = "";
    uint32_t before;
    uint32_t behind;
    task_header(out, tasks->text.snapshot, task, here ? &details : NULL);
    block_get(tasks, task->group, &text, &before, &behind);
    buffer_append(out, text, before);
    if (behind && here && details.parent) {
        buffer_string(out, " in goroutine ");
        buffer_unsigned(out, details.parent);
    }
    buffer_append(out, text + before, behind);
    buffer_char(out, '\n');
}

static void end(struct tasks *tasks)
{
    struct buffer *out = &tasks->text.out;
    buffer_string(out, "# ");
    words_summary(out, tasks->text.snapshot);
    buffer_char(out, '\n');
    text_missing(out, tasks->text.snapshot, "# ", "\n");
    text_missing_since(out, tasks->text.snapshot, "# ", "\n");
    if (tasks->holders)
        buffer_printf(out, "# %zu tasks shown besides: others wait for what they hold\n",
                      tasks->holders);
    if (tasks->pick.left_out)
        buffer_printf(out, "# ... %llu more tasks left out by limit=%llu\n",
                      (unsigned long long)tasks->pick.left_out,
                      (unsigned long long)tasks->filter.limit);
    if (tasks->pick.excluded)
        buffer_printf(out, "# %llu tasks not shown: the filters exclude them\n",
                      (unsigned long long)tasks->pick.excluded);
}

static bool next_piece(struct text *text)
{
    struct tasks *tasks = (struct tasks *)text;
    struct details_reader reader = {0};
    size_t wanted = text->wanted < PIECE ? text->wanted : PIECE;
    bool more = !tasks->started || tasks->next < tasks->pick.count;
    if (!tasks->started)
        text_locks(&text->out, text->snapshot, false);
    tasks->started = true;
    while (tasks->next < tasks->pick.count && text->out.length < wanted && !text->out.failed)
        one_task(tasks, &text->snapshot->task_list[tasks->pick.order[tasks->next++]], &reader);
    snapshot_details_close(&reader);
    if (more)
        return true;
    if (tasks->ended)
        return false;
    tasks->ended = true;
    end(tasks);
    return true;
}

static void release(struct text *text)
{
    struct tasks *tasks = (struct tasks *)text;
    buffer_release(&tasks->blocks);
    buffer_release(&tasks->spare);
    pick_release(&tasks->pick);
}

int text_tasks(struct snapshot *snapshot, const struct filter *filter, struct text **ret)
{
    struct tasks *tasks = text_new(snapshot, sizeof(*tasks), next_piece);
    if (!tasks)
        return -ENOMEM;
    tasks->filter = *filter;
    tasks->text.release = release;
    tasks->block_of =
        arena_alloc(&snapshot->arena, (snapshot->group_count + 1) * sizeof(*tasks->block_of));
    int result = tasks->block_of ? pick_tasks(snapshot, filter, &tasks->pick) : -ENOMEM;
    if (result < 0)
        return result;
    ssize_t holders = pick_holders(&tasks->pick, snapshot, filter);
    if (holders < 0) {
        pick_release(&tasks->pick);
        return (int)holders;
    }
    tasks->holders = (size_t)holders;
    *ret = &tasks->text;
    return 0;
}
