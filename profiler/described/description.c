#include "profiler/described/description.h"

#include "profiler/described/near.h"

#include <stdio.h>
#include <string.h>

struct cursor {
    const char *at;
    const char *end;
};

// A word of the line, for messages.
struct word {
    const char *at;
    size_t length;
};

static const char *const keys[] = {"len", "cap", "closed", "name", "recv", "send"};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// The next word up to a blank; empty at the line's end.
static struct word next_word(struct cursor *cursor)
{
    while (cursor->at < cursor->end && is_blank(*cursor->at))
        cursor->at++;
    struct word word = {.at = cursor->at};
    while (cursor->at < cursor->end && !is_blank(*cursor->at))
        cursor->at++;
    word.length = (size_t)(cursor->at - word.at);
    return word;
}

static bool word_is(struct word word, const char *text)
{
    return word.length == strlen(text) && memcmp(word.at, text, word.length) == 0;
}

// What the user wrote goes into text and HTML: printable ASCII alone, and not without end.
static void quote(struct word word, char into[64])
{
    size_t length = word.length < 60 ? word.length : 60;
    for (size_t i = 0; i < length; i++)
        into[i] = (char)(word.at[i] < 0x20 || word.at[i] > 0x7e ? '?' : word.at[i]);
    snprintf(into + length, 64 - length, "%s", word.length > length ? "..." : "");
}

const char *description_key(enum path_role role)
{
    if (role >= ROLE_SEND)
        return "send";
    return role >= ROLE_RECEIVE ? "recv" : keys[role];
}

void description_path_text(const struct path *path, unsigned last, char *into, size_t size)
{
    size_t used = 0;
    into[0] = '\0';
    for (unsigned i = 0; i <= last && i < path->count && used < size; i++) {
        const struct path_step *step = &path->steps[i];
        int wrote;
        if (step->kind == STEP_INDEX)
            wrote = snprintf(into + used, size - used, "[%u]", step->index);
        else
            wrote = snprintf(into + used, size - used, "%s%s",
                             step->kind == STEP_ARROW ? "->"
                             : i                      ? "."
                                                      : "",
                             step->name);
        used += wrote > 0 ? (size_t)wrote : 0;
    }
}

static bool read_number(struct cursor *cursor, uint64_t max, uint64_t *ret)
{
    uint64_t number = 0;
    const char *first = cursor->at;
    for (; cursor->at < cursor->end && is_digit(*cursor->at); cursor->at++) {
        number = number * 10 + (uint64_t)(*cursor->at - '0');
        if (number > max)
            return false;
    }
    *ret = number;
    return cursor->at != first;
}

static bool starts(const struct cursor *cursor, const char *text)
{
    size_t length = strlen(text);
    return (size_t)(cursor->end - cursor->at) >= length && memcmp(cursor->at, text, length) == 0;
}

static bool read_name(struct cursor *cursor, struct path_step *step)
{
    const char *first = cursor->at;
    while (cursor->at < cursor->end && is_name(*cursor->at))
        cursor->at++;
    size_t length = (size_t)(cursor->at - first);
    if (!length || length >= PATH_NAME_MAX || is_digit(*first))
        return false;
    memcpy(step->name, first, length);
    step->name[length] = '\0';
    return true;
}

// NAME ( "." NAME | "->" NAME | "[" N "]" )*, up to the word's end or a comma.
static bool read_path(struct cursor *cursor, struct path *path)
{
    path->count = 0;
    if (!read_name(cursor, &path->steps[0]))
        return false;
    path->steps[path->count++].kind = STEP_FIELD;
    while (cursor->at < cursor->end && *cursor->at != ',') {
        if (path->count == PATH_STEPS_MAX)
            return false;
        struct path_step *step = &path->steps[path->count++];
        uint64_t index;
        if (starts(cursor, ".") || starts(cursor, "->")) {
            step->kind = *cursor->at == '.' ? STEP_FIELD : STEP_ARROW;
            cursor->at += step->kind == STEP_ARROW ? 2 : 1;
            if (!read_name(cursor, step))
                return false;
        } else if (starts(cursor, "[")) {
            step->kind = STEP_INDEX;
            cursor->at++;
            if (!read_number(cursor, UINT32_MAX, &index) || !starts(cursor, "]"))
                return false;
            step->index = (uint32_t)index;
            cursor->at++;
        } else {
            return false;
        }
    }
    return true;
}

static enum description_result bad_path(struct word key, struct word value, char *problem)
{
    char key_text[64];
    char text[64];
    quote(key, key_text);
    quote(value, text);
    snprintf(problem, PROBLEM_MAX,
             "%s=%s is no path of fields: right would be like count, queue->size, ring.slots[0] "
             "(at most %d steps%s)",
             key_text, text, PATH_STEPS_MAX, word_is(key, "cap") ? "), or a number (" : "");
    return DESCRIPTION_BAD;
}

static enum description_result read_waits(struct word key, struct word value, enum path_role first,
                                          struct description *ret, char *problem)
{
    struct cursor cursor = {value.at, value.at + value.length};
    for (unsigned i = 0;; i++) {
        if (i == TASKPROF_QUEUE_WAITS) {
            snprintf(problem, PROBLEM_MAX, "%s= names more than %d objects", description_key(first),
                     TASKPROF_QUEUE_WAITS);
            return DESCRIPTION_BAD;
        }
        if (!read_path(&cursor, &ret->paths[first + i]))
            return bad_path(key, value, problem);
        if (cursor.at == cursor.end)
            return DESCRIPTION_READ;
        cursor.at++; // the comma
    }
}

static enum description_result read_value(struct word key, struct word value,
                                          struct description *ret, char *problem)
{
    enum path_role role = ROLE_LENGTH;
    while (role < ROLE_RECEIVE && !word_is(key, keys[role]))
        role++;
    if (role == ROLE_RECEIVE)
        role = word_is(key, "recv") ? ROLE_RECEIVE : word_is(key, "send") ? ROLE_SEND : ROLES;
    char text[64];
    quote(key, text);
    if (role == ROLES) {
        struct near near = {0};
        for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
            near_offer(&near, text, keys[i]);
        char likely[NEAR_TEXT_MAX];
        snprintf(problem, PROBLEM_MAX,
                 "there is no key %s=%s: the keys are len, cap, closed, name, recv, send", text,
                 near_text(&near, likely));
        return DESCRIPTION_BAD;
    }
    if (ret->paths[role].count || (role == ROLE_CAPACITY && ret->capacity != TASKPROF_UNKNOWN)) {
        snprintf(problem, PROBLEM_MAX, "%s= is given twice%s", text,
                 role >= ROLE_RECEIVE ? ": separate several objects by commas" : "");
        return DESCRIPTION_BAD;
    }
    if (role >= ROLE_RECEIVE)
        return read_waits(key, value, role, ret, problem);
    struct cursor cursor = {value.at, value.at + value.length};
    uint64_t number;
    if (role == ROLE_CAPACITY && value.length && is_digit(*value.at)) {
        if (!read_number(&cursor, INT64_MAX, &number) || cursor.at != cursor.end)
            return bad_path(key, value, problem);
        ret->capacity = (int64_t)number;
        return DESCRIPTION_READ;
    }
    if (!read_path(&cursor, &ret->paths[role]) || cursor.at != cursor.end)
        return bad_path(key, value, problem);
    return DESCRIPTION_READ;
}

// "chan_t", "ns::queue", "struct chan": the type's name is the word before the first key.
static enum description_result read_type(struct cursor *cursor, struct description *ret,
                                         char *problem)
{
    struct word word = next_word(cursor);
    ret->tag_only = word_is(word, "struct") || word_is(word, "union") || word_is(word, "class");
    if (ret->tag_only)
        word = next_word(cursor);
    char text[64];
    quote(word, text);
    bool valid = word.length && word.length < TYPE_NAME_MAX && !is_digit(*word.at);
    for (size_t i = 0; i < word.length && valid; i++)
        valid = is_name(word.at[i]) || word.at[i] == ':';
    if (!valid) {
        snprintf(
            problem, PROBLEM_MAX,
            "\"%s\" is not a type's name: right would be like chan_t, struct chan or ns::queue",
            text);
        return DESCRIPTION_BAD;
    }
    memcpy(ret->type, word.at, word.length);
    ret->type[word.length] = '\0';
    return DESCRIPTION_READ;
}

enum description_result description_parse(const char *text, size_t length, unsigned line,
                                          struct description *ret, char problem[PROBLEM_MAX])
{
    const char *comment = memchr(text, '#', length);
    struct cursor cursor = {text, comment ? comment : text + length};
    struct cursor look = cursor;
    if (next_word(&look).length == 0)
        return DESCRIPTION_NONE;
    *ret = (struct description){.line = line, .capacity = TASKPROF_UNKNOWN};
    enum description_result result = read_type(&cursor, ret, problem);
    while (result == DESCRIPTION_READ) {
        struct word word = next_word(&cursor);
        if (!word.length)
            break;
        const char *equals = memchr(word.at, '=', word.length);
        if (!equals) {
            char what[64];
            quote(word, what);
            snprintf(problem, PROBLEM_MAX,
                     "\"%s\" is not KEY=PATH: a type's name is followed by len=, cap=, closed=, "
                     "name=, recv= and send=, without blanks inside",
                     what);
            return DESCRIPTION_BAD;
        }
        struct word key = {word.at, (size_t)(equals - word.at)};
        struct word value = {equals + 1, word.length - key.length - 1};
        result = read_value(key, value, ret, problem);
    }
    if (result == DESCRIPTION_READ && !ret->paths[ROLE_RECEIVE].count &&
        !ret->paths[ROLE_SEND].count) {
        snprintf(problem, PROBLEM_MAX,
                 "%s has neither recv= nor send=: name the condition variables or semaphores on "
                 "which its receivers and senders wait",
                 ret->type);
        return DESCRIPTION_BAD;
    }
    return result;
}
