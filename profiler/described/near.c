#include "profiler/described/near.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

unsigned near_distance(const char *one, const char *other)
{
    unsigned rows[3][NEAR_NAME_MAX + 1];
    size_t height = strnlen(one, NEAR_NAME_MAX);
    size_t width = strnlen(other, NEAR_NAME_MAX);
    for (size_t j = 0; j <= width; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= height; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *above = rows[(i - 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= width; j++) {
            int a = tolower((unsigned char)one[i - 1]);
            int b = tolower((unsigned char)other[j - 1]);
            row[j] = least(least(above[j], row[j - 1]) + 1, above[j - 1] + (a != b));
            if (i > 1 && j > 1 && a == tolower((unsigned char)other[j - 2]) &&
                b == tolower((unsigned char)one[i - 2]))
                row[j] = least(row[j], rows[(i - 2) % 3][j - 2] + 1);
        }
    }
    return rows[height % 3][width];
}

void near_offer(struct near *near, const char *wanted, const char *name)
{
    size_t length = strlen(wanted);
    size_t other = strlen(name);
    size_t difference = length > other ? length - other : other - length;
    unsigned limit = length < 4 ? 1 : (unsigned)(length / 3);
    // "chan" for "chan_t", and the other way round, is nearer than the edits say.
    size_t common = length < other ? length : other;
    int is_prefix = common >= 3 && strncmp(wanted, name, common) == 0 && difference <= 4;
    if (other >= NEAR_NAME_MAX || (difference > limit && !is_prefix))
        return;
    unsigned distance = is_prefix ? 1 : near_distance(wanted, name);
    if (distance > limit)
        return;
    unsigned at = 0;
    for (; at < near->count && near->names[at].distance <= distance; at++)
        if (strcmp(near->names[at].name, name) == 0)
            return;
    if (at == NEAR_KEPT)
        return;
    for (unsigned i = at; i < near->count; i++)
        if (strcmp(near->names[i].name, name) == 0)
            return;
    if (near->count < NEAR_KEPT)
        near->count++;
    memmove(&near->names[at + 1], &near->names[at],
            (near->count - 1 - at) * sizeof(near->names[0]));
    near->names[at].distance = distance;
    snprintf(near->names[at].name, NEAR_NAME_MAX, "%s", name);
}

const char *near_text(const struct near *near, char into[NEAR_TEXT_MAX])
{
    into[0] = '\0';
    size_t used = 0;
    for (unsigned i = 0; i < near->count && used < NEAR_TEXT_MAX; i++) {
        const char *before = i == 0 ? " (did you mean " : i + 1 == near->count ? " or " : ", ";
        used += (size_t)snprintf(into + used, NEAR_TEXT_MAX - used, "%s%s", before,
                                 near->names[i].name);
    }
    if (near->count && used < NEAR_TEXT_MAX)
        snprintf(into + used, NEAR_TEXT_MAX - used, "?)");
    return into;
}
