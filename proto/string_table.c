#include "proto/string_table.h"

#include "profiler/base/hash.h"
#include "profiler/base/utf8.h"

#include <stdbool.h>
#include <string.h>

static bool is_utf8(const char *text)
{
    while (*text) {
        unsigned length = utf8_length(text, UTF8_LONGEST);
        if (length == 0)
            return false;
        text += length;
    }
    return true;
}

static const char *mended(struct arena *arena, const char *text)
{
    char *copy = arena_copy(arena, text, strlen(text) + 1);
    if (!copy)
        return NULL;
    for (char *at = copy; *at;) {
        unsigned length = utf8_length(at, UTF8_LONGEST);
        if (length == 0) {
            *at = '?';
            length = 1;
        }
        at += length;
    }
    return copy;
}

static int64_t add(struct string_table *table, const char *text, bool copy)
{
    if (!is_utf8(text) && !(text = mended(table->arena, text))) {
        table->texts.failed = true;
        return 0;
    }
    uint64_t hash = hash_bytes(text, strlen(text));
    uint32_t known;
    for (size_t step = 0; index_next(&table->index, hash, &step, &known);)
        if (strcmp(string_table_get(table, known), text) == 0)
            return known;
    uint32_t fresh = string_table_count(table);
    if (copy && !(text = arena_copy(table->arena, text, strlen(text) + 1))) {
        table->texts.failed = true;
        return 0;
    }
    buffer_append(&table->texts, &text, sizeof(text));
    if (table->texts.failed)
        return 0;
    if (index_add(&table->index, hash, fresh) < 0) {
        table->texts.failed = true;
        return 0;
    }
    return fresh;
}

int64_t string_table_add(struct string_table *table, const char *text)
{
    return add(table, text, false);
}

int64_t string_table_add_copy(struct string_table *table, const char *text)
{
    return add(table, text, true);
}

uint32_t string_table_count(const struct string_table *table)
{
    return (uint32_t)(table->texts.length / sizeof(const char *));
}

const char *string_table_get(const struct string_table *table, uint32_t index)
{
    return ((const char *const *)table->texts.data)[index];
}

void string_table_release(struct string_table *table)
{
    index_release(&table->index);
    buffer_release(&table->texts);
}
