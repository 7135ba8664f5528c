#include "text/fold.h"

#include "profiler/base/sort.h"
#include "profiler/base/table.h"
#include "text/words.h"

#include <errno.h>
#include <string.h>

// What is known of a class so far.
struct kin {
    bool excluded;
    uint64_t waiters;
    uint64_t wait_max_ns;
    uint64_t rows;
    uint32_t rest; // in fold->rests, TABLE_NONE: none yet
};

struct folding {
    struct snapshot *snapshot;
    const struct filter *filter;
    struct table by_id; // class id to its index
    struct kin *kin;
    uint32_t kin_count;
};

// More waiters count first, then longer waits in milliseconds: 27 bits are more than there can be
// tasks, 37 are four years.
static uint64_t weight(uint64_t waiters, uint64_t wait_max_ns)
{
    uint64_t ms = wait_max_ns / 1000000;
    const uint64_t most = (1u << 27) - 1;
    const uint64_t longest = ((uint64_t)1 << 37) - 1;
    return (waiters < most ? waiters : most) << 37 | (ms < longest ? ms : longest);
}

static bool is_excluded(const struct filter *filter, const struct snapshot_channel *channel)
{
    if (!filter->channel[0])
        return false;
    char name[WORDS_CHANNEL_MAX] = "";
    if (channel->name[0])
        memcpy(name, channel->name, sizeof(channel->name));
    else
        words_channel(channel->channel_class, name);
    return strcmp(filter->channel, name) != 0;
}

// NULL when out of memory.
static struct kin *kin_of(struct folding *folding, const struct snapshot_channel *channel)
{
    uint32_t index = TABLE_NONE;
    if (channel->channel_class) // one without is alike with none
        index = table_get(&folding->by_id, channel->channel_class);
    if (index != TABLE_NONE)
        return &folding->kin[index];
    index = folding->kin_count;
    if (channel->channel_class && !table_put(&folding->by_id, channel->channel_class, index))
        return NULL;
    folding->kin_count++;
    folding->kin[index] = (struct kin){
        .excluded = is_excluded(folding->filter, channel),
        .rest = TABLE_NONE,
    };
    return &folding->kin[index];
}

static void add_line(struct fold *fold, bool is_rest, uint32_t index, uint32_t kin)
{
    fold->lines[fold->line_count++] = (struct fold_line){is_rest, index, kin};
}

static void add_to_rest(struct fold *fold, struct kin *kin, uint32_t number, uint32_t index,
                        const struct snapshot_channel *channel)
{
    if (kin->rest == TABLE_NONE) {
        kin->rest = (uint32_t)fold->rest_count;
        fold->rests[fold->rest_count++] = (struct fold_rest){.first = index};
        add_line(fold, true, kin->rest, number);
    }
    struct fold_rest *rest = &fold->rests[kin->rest];
    rest->channels++;
    rest->senders += channel->senders;
    rest->receivers += channel->receivers;
    if (channel->wait_max_ns > rest->wait_max_ns)
        rest->wait_max_ns = channel->wait_max_ns;
    fold->folded++;
}

static int fold_one(struct folding *folding, struct fold *fold, uint32_t index)
{
    const struct snapshot_channel *channel = &folding->snapshot->channels[index];
    struct kin *kin = kin_of(folding, channel);
    if (!kin)
        return -ENOMEM;
    uint32_t number = (uint32_t)(kin - folding->kin);
    kin->waiters += channel->senders + channel->receivers;
    if (channel->wait_max_ns > kin->wait_max_ns)
        kin->wait_max_ns = channel->wait_max_ns;
    if (kin->excluded)
        fold->excluded++;
    else if (!channel->channel_class || kin->rows++ < folding->filter->limit)
        add_line(fold, false, index, number);
    else
        add_to_rest(fold, kin, number, index, channel);
    return 0;
}

// Brings the lines of each kin together, as they stood, the kin with most waiters first.
static int bring_together(struct folding *folding, struct fold *fold)
{
    struct arena *arena = &folding->snapshot->arena;
    struct sort_item *order = arena_alloc(arena, (folding->kin_count + 1) * sizeof(*order));
    uint32_t *place = arena_alloc(arena, (folding->kin_count + 1) * sizeof(*place));
    struct fold_line *lines = arena_alloc(arena, (fold->line_count + 1) * sizeof(*lines));
    if (!order || !place || !lines)
        return -ENOMEM;
    for (size_t i = 0; i < fold->line_count; i++)
        place[fold->lines[i].kin]++;
    for (uint32_t i = 0; i < folding->kin_count; i++)
        order[i] =
            (struct sort_item){weight(folding->kin[i].waiters, folding->kin[i].wait_max_ns), i};
    sort_descending(order, folding->kin_count);
    uint32_t next = 0;
    for (uint32_t i = 0; i < folding->kin_count; i++) {
        uint32_t count = place[order[i].index];
        place[order[i].index] = next;
        next += count;
    }
    for (size_t i = 0; i < fold->line_count; i++)
        lines[place[fold->lines[i].kin]++] = fold->lines[i];
    fold->lines = lines;
    return 0;
}

int fold_channels(struct snapshot *snapshot, const struct filter *filter, struct fold *ret)
{
    size_t count = snapshot->channel_count;
    struct arena *arena = &snapshot->arena;
    struct fold fold = {
        // A row a channel, and a line of sums for each that has others behind it.
        .lines = arena_alloc(arena, (2 * count + 1) * sizeof(*fold.lines)),
        .rests = arena_alloc(arena, (count + 1) * sizeof(*fold.rests)),
    };
    struct folding folding = {
        .snapshot = snapshot,
        .filter = filter,
        .kin = arena_alloc(arena, (count + 1) * sizeof(*folding.kin)),
    };
    struct sort_item *order = arena_alloc(arena, (count + 1) * sizeof(*order));
    if (!fold.lines || !fold.rests || !folding.kin || !order)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        const struct snapshot_channel *channel = &snapshot->channels[i];
        order[i] = (struct sort_item){
            weight(channel->senders + channel->receivers, channel->wait_max_ns), (uint32_t)i};
    }
    sort_descending(order, count);
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++)
        result = fold_one(&folding, &fold, order[i].index);
    table_release(&folding.by_id);
    if (result == 0)
        result = bring_together(&folding, &fold);
    if (result == 0)
        *ret = fold;
    return result;
}
