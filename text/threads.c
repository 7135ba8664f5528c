// debug=1 of the threadcreate profile: the same lines as debug=1 of the goroutine profile.

#include "profiler/base/sort.h"
#include "profiler/base/table.h"
#include "text/frames.h"
#include "text/missing.h"
#include "text/text.h"
#include "text/words.h"

#include <errno.h>

struct threads {
    struct text text;
    struct sort_item *rows; // key: how many; index: the creation stack's id
    size_t count;
    size_t next;
    uint64_t total;
    bool started;
    bool ended;
};

static bool next_piece(struct text *text)
{
    struct threads *threads = (struct threads *)text;
    struct buffer *out = &text->out;
    if (!threads->started) {
        threads->started = true;
        buffer_string(out, "threadcreate profile: total ");
        buffer_unsigned(out, threads->total);
        buffer_string(out, "\n# ");
        words_summary(out, text->snapshot);
        buffer_char(out, '\n');
        text_missing(out, text->snapshot, "# ", "\n");
        buffer_char(out, '\n');
        return true;
    }
    if (threads->next == threads->count) {
        size_t before = out->length;
        if (!threads->ended)
            text_missing_since(out, text->snapshot, "# ", "\n");
        threads->ended = true;
        return out->length > before;
    }
    const struct sort_item *row = &threads->rows[threads->next++];
    const struct stack *stack = stack_get(row->index);
    buffer_unsigned(out, row->key);
    buffer_string(out, " @");
    for (uint32_t i = 0; i < stack->depth; i++) {
        buffer_string(out, " 0x");
        buffer_hex(out, stack->frames[i]);
    }
    if (stack->depth == 0)
        buffer_string(out, " 0x1\n#\tnot known who created them");
    buffer_char(out, '\n');
    frames_by_address(out, text->snapshot, row->index, "#");
    buffer_char(out, '\n');
    return true;
}

int text_threads(struct snapshot *snapshot, struct text **ret)
{
    struct threads *threads = text_new(snapshot, sizeof(*threads), next_piece);
    if (!threads)
        return -ENOMEM;
    threads->rows = arena_alloc(&snapshot->arena, snapshot->group_count * sizeof(*threads->rows));
    if (!threads->rows)
        return -ENOMEM;
    struct table row_of = {0};
    int result = 0;
    for (size_t i = 0; i < snapshot->group_count && result == 0; i++) {
        const struct snapshot_group *group = &snapshot->groups[i];
        if (group->threads == 0)
            continue;
        uint32_t at = table_get(&row_of, group->creation);
        if (at == TABLE_NONE) {
            at = (uint32_t)threads->count++;
            threads->rows[at].index = group->creation;
            if (!table_put(&row_of, group->creation, at))
                result = -ENOMEM;
        }
        threads->rows[at].key += group->threads;
        threads->total += group->threads;
    }
    table_release(&row_of);
    if (result < 0)
        return result;
    sort_descending(threads->rows, threads->count);
    *ret = &threads->text;
    return 0;
}
