// What the symboliser's tests compile, in many ways: functions that are inlined into each other,
// that have a cold part, an alias, that recurse.

#include <stdio.h>
#include <stdlib.h>

struct shape {
    int sides;
    double size;
};

static inline int clamp(int value, int low, int high)
{
    if (value < low)
        return low;
    return value > high ? high : value;
}

static inline __attribute__((always_inline)) int score(const struct shape *shape, int bonus)
{
    int base = clamp(shape->sides, 3, 12);
    if (shape->size > 100.0)
        base += clamp(bonus, 0, 9);
    return base * rand();
}

static __attribute__((noinline)) int walk(const struct shape *shapes, int count)
{
    int total = 0;
    for (int i = 0; i < count; i++)
        total += score(&shapes[i], i);
    return total;
}

__attribute__((cold, noinline)) void shapes_complain(const char *about)
{
    fprintf(stderr, "%s\n", about);
    abort();
}

int shapes_sum(const struct shape *shapes, int count)
{
    if (__builtin_expect(count < 0, 0)) {
        printf("negative: %d\n", count);
        shapes_complain("count");
    }
    return walk(shapes, count) + walk(shapes, count / 2);
}

int shapes_again(const struct shape *shapes, int count) __attribute__((alias("shapes_sum")));

long shapes_tree(long depth)
{
    if (depth < 2)
        return depth + clamp(rand(), 1, 5);
    return shapes_tree(depth - 1) * 3 + shapes_tree(depth - 2);
}

int shapes_switch(int what, int (*callback)(int))
{
    switch (what) {
    case 0:
        return callback(1);
    case 1:
        return callback(callback(2));
    case 2:
        return clamp(callback(3), -4, 4);
    case 7:
        return callback(9) + clamp(callback(4), -8, 8);
    default:
        shapes_complain("what");
        return 0;
    }
}

#ifdef WITH_MAIN
static int twice(int value)
{
    return 2 * value;
}

int main(int count, char **arguments)
{
    struct shape shapes[] = {{3, 4.0}, {5, 200.0}, {count, 7.0}};
    (void)arguments;
    return (shapes_sum(shapes, 3) + shapes_again(shapes, 2) + (int)shapes_tree(count) +
            shapes_switch(count, twice)) &
           1;
}
#endif
