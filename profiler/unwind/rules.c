#include "profiler/unwind/rules.h"

#include "profiler/base/clock.h"
#include "profiler/base/hash.h"
#include "profiler/base/intern.h"
#include "profiler/base/lock.h"
#include "profiler/base/memory.h"
#include "profiler/unwind/module.h"

#include <errno.h>

// A cache of bounded size rather than a table that grows: code that comes and goes for years (plug
// ins, compilers at run time) must cost no memory. What was pushed out is compiled again.
enum { SETS = 8192, WAYS = 4, RULE_WORDS = sizeof(struct rule) / 8 };

// `version` is odd while the entry is written, under the lock. All fields are stored with release
// and loaded with acquire: whoever sees a new field also sees that the version has moved on.
struct entry {
    _Atomic uint32_t version;
    _Atomic uint32_t generation;
    _Atomic uintptr_t pc;
    _Atomic uint64_t words[RULE_WORDS]; // struct rule
} __attribute__((aligned(64)));

static _Atomic(struct entry *) cache; // SETS * WAYS entries, mapped at the first miss

// Guards compiling: the modules, the scratch below, and writing to the cache.
static struct lock compiling = LOCK_INIT;
static struct cfi_scratch scratch;
static struct cfi_row row;
static uint32_t pruned_generation;
// Rows that do not fit into a rule, and their expressions: a few kinds, the same in every program.
// Ids of them are in rules that are cached for the current generation of maps.
struct intern rules_rows =
    INTERN_INIT("unwind rules", "stacks may end where they would be needed", (size_t)8 << 20);

// When code outside the picture was last a reason to read it again, and how long to leave that be.
static _Atomic uint64_t next_refresh_ns;
enum { REFRESH_INTERVAL_NS = 100 * 1000 * 1000, REFRESH_SHARE = 20 };

static inline __attribute__((always_inline)) bool entry_read(struct entry *entry, uintptr_t pc,
                                                             uint32_t generation, struct rule *ret)
{
    uint32_t version = atomic_load_explicit(&entry->version, memory_order_acquire);
    if (atomic_load_explicit(&entry->pc, memory_order_acquire) != pc ||
        atomic_load_explicit(&entry->generation, memory_order_acquire) != generation || version & 1)
        return false;
    // Word by word to where it is wanted: what is written in one size and read in a larger one at
    // once makes the processor wait.
    char *to = (char *)ret;
#pragma GCC unroll 8
    for (size_t i = 0; i < RULE_WORDS; i++) {
        uint64_t word = atomic_load_explicit(&entry->words[i], memory_order_acquire);
        memcpy(to + i * sizeof(word), &word, sizeof(word));
    }
    return atomic_load_explicit(&entry->version, memory_order_relaxed) == version;
}

static void entry_write(struct entry *entry, uintptr_t pc, uint32_t generation,
                        const struct rule *rule)
{
    uint64_t words[RULE_WORDS];
    memcpy(words, rule, sizeof(*rule));
    // A fork may have caught the version odd: it counts from there.
    uint32_t version = atomic_load_explicit(&entry->version, memory_order_relaxed) | 1;
    atomic_store_explicit(&entry->version, version, memory_order_relaxed);
    atomic_store_explicit(&entry->pc, pc, memory_order_release);
    atomic_store_explicit(&entry->generation, generation, memory_order_release);
    for (size_t i = 0; i < RULE_WORDS; i++)
        atomic_store_explicit(&entry->words[i], words[i], memory_order_release);
    atomic_store_explicit(&entry->version, version + 1, memory_order_release);
}

// The ways behind the first one that the hash chooses: where an entry is when that one was taken.
static __attribute__((noinline)) bool cached_elsewhere(struct entry *set, unsigned first,
                                                       uintptr_t pc, uint32_t generation,
                                                       struct rule *ret)
{
    for (unsigned i = 1; i < WAYS; i++)
        if (entry_read(&set[(first + i) % WAYS], pc, generation, ret))
            return true;
    return false;
}

static inline bool cached(struct entry *entries, uintptr_t pc, struct rule *ret)
{
    if (!entries)
        return false;
    uint32_t generation = maps_generation();
    uint64_t hash = hash_word(pc);
    struct entry *set = entries + hash % SETS * WAYS;
    unsigned first = hash / SETS % WAYS;
    return __builtin_expect(entry_read(&set[first], pc, generation, ret), 1) ||
           cached_elsewhere(set, first, pc, generation, ret);
}

// An entry to give up for `pc`: an unused one or one of old, else one that the hash chooses.
static struct entry *victim(struct entry *entries, uintptr_t pc, uint32_t generation)
{
    uint64_t hash = hash_word(pc);
    struct entry *set = entries + hash % SETS * WAYS;
    for (unsigned i = 0; i < WAYS; i++) {
        struct entry *entry = &set[(hash / SETS + i) % WAYS];
        if (!atomic_load_explicit(&entry->pc, memory_order_relaxed) ||
            atomic_load_explicit(&entry->generation, memory_order_relaxed) != generation)
            return entry;
    }
    return &set[hash / SETS % WAYS];
}

static bool compact_offset(struct rule *rule, int64_t offset, int16_t *ret)
{
    if (offset != (int16_t)offset || offset % (int)sizeof(uintptr_t))
        return false;
    *ret = (int16_t)offset;
    rule->lowest = *ret < rule->lowest ? *ret : rule->lowest;
    rule->highest = *ret > rule->highest ? *ret : rule->highest;
    return true;
}

static bool compact_saved(const struct cfi_row *from, struct rule *ret)
{
    for (unsigned i = 0; i < ARCH_SAVED; i++) {
        switch (from->saved[i].kind) {
        case CFI_UNSPECIFIED:
        case CFI_SAME:
            break;
        case CFI_UNDEFINED:
            ret->lost |= (uint16_t)(1u << i);
            break;
        case CFI_OFFSET:
            ret->stored |= (uint16_t)(1u << i);
            if (!compact_offset(ret, from->saved[i].offset, &ret->offsets[i]))
                return false;
            break;
        default:
            return false;
        }
    }
    return true;
}

// The compact form of a row; false: it has none.
static bool compact(const struct cfi_row *from, struct rule *ret)
{
    *ret = (struct rule){
        .flags = from->signal_frame ? RULE_SIGNAL : 0, .lowest = INT16_MAX, .highest = INT16_MIN};
    if (from->ra.kind == CFI_UNDEFINED) {
        ret->flags |= RULE_OUTERMOST;
        return true;
    }
    int base = arch_saved_index(from->cfa_register);
    if (from->cfa.kind != CFI_VAL_OFFSET || from->cfa.offset != (int32_t)from->cfa.offset ||
        (base < 0 && from->cfa_register != ARCH_DWARF_SP))
        return false;
    ret->base = base < 0 ? RULE_BASE_SP : (uint8_t)base;
    ret->cfa_offset = (int32_t)from->cfa.offset;
    if (ARCH_RA_IN_REGISTER && (from->ra.kind == CFI_UNSPECIFIED || from->ra.kind == CFI_SAME))
        ret->flags |= RULE_RA_IN_REGISTER;
    else if (from->ra.kind != CFI_OFFSET || !compact_offset(ret, from->ra.offset, &ret->ra_offset))
        return false;
    return compact_saved(from, ret);
}

// Moves a rule's expression to where it stays.
static bool keep_expression(struct cfi_rule *rule)
{
    if (!rule->length)
        return true;
    size_t length;
    const void *kept =
        intern_get(&rules_rows, intern(&rules_rows, rule->expression, rule->length), &length);
    if (!kept || length != rule->length)
        return false;
    rule->expression = kept;
    return true;
}

// When there is little room for more rows, all rules are compiled anew: most of the rows will not
// be wanted again. Those who have a copy of a rule with a row are in a section or have a hold.
static void make_room(void)
{
    if (!intern_is_due(&rules_rows))
        return;
    maps_forget_derived();
    intern_start_anew(&rules_rows);
}

static bool keep_row(struct cfi_row *from, struct rule *ret)
{
    make_room();
    bool kept = keep_expression(&from->cfa) && keep_expression(&from->ra);
    for (int i = 0; i < ARCH_SAVED && kept; i++)
        kept = keep_expression(&from->saved[i]);
    if (!kept)
        return false;
    *ret = (struct rule){.flags = (uint8_t)(RULE_ROW | (from->signal_frame ? RULE_SIGNAL : 0)),
                         .row = intern(&rules_rows, from, sizeof(*from))};
    return ret->row > INTERN_FULL;
}

const struct cfi_row *rules_row(const struct rule *rule)
{
    size_t length;
    const struct cfi_row *kept = intern_get(&rules_rows, rule->row, &length);
    return length == sizeof(*kept) ? kept : NULL;
}

// Whether a return address (`pc` + 1) is the first byte of a function behind a gap: no call left it
// there. Somebody planted it under the first frame of a coroutine, as makecontext does.
static bool planted(const struct cfi_sections *sections, uintptr_t pc)
{
    struct cfi_entry entry;
    size_t offset = cfi_search(sections, pc + 1);
    return offset != SIZE_MAX && cfi_entry_at(sections, offset, &entry) == 0 &&
           entry.start == pc + 1;
}

// false: there is a rule, but no room for it, and it is not to be kept that there is none.
static bool compile(const struct code_map *code, uintptr_t pc, struct rule *ret)
{
    *ret = (struct rule){.flags = RULE_POINTER};
    const struct cfi_sections *sections = module_sections(code);
    if (!sections)
        return true;
    int error = cfi_row_at(sections, pc, &scratch, &row);
    if (error == -ENOENT && planted(sections, pc))
        *ret = (struct rule){.flags = RULE_OUTERMOST};
    if (error || compact(&row, ret) || keep_row(&row, ret))
        return true;
    *ret = (struct rule){.flags = RULE_POINTER};
    return false;
}

static struct entry *cache_ensure(void)
{
    struct entry *entries = atomic_load_explicit(&cache, memory_order_relaxed);
    if (!entries) {
        entries = memory_map((size_t)SETS * WAYS * sizeof(*entries));
        // Release: pairs with the acquire in rules_find.
        atomic_store_explicit(&cache, entries, memory_order_release);
    }
    return entries;
}

static bool compile_known(uintptr_t pc, struct rule *ret)
{
    struct code_map code;
    lock_acquire(&compiling);
    uint32_t generation = maps_generation();
    if (generation != pruned_generation) {
        modules_prune();
        pruned_generation = generation;
    }
    bool known = maps_code(pc, &code);
    if (known) {
        bool whole = compile(&code, pc, ret);
        struct entry *entries = whole ? cache_ensure() : NULL;
        if (entries)
            entry_write(victim(entries, pc, generation), pc, generation, ret);
    }
    lock_release(&compiling);
    return known;
}

// Whether the picture may be read again because of code that is not in it. Garbage on a stack must
// not make a process of many threads read its mappings all day: at most a twentieth of the time.
static bool refresh_for_unknown(void)
{
    uint64_t now = clock_monotonic_ns();
    uint64_t next = atomic_load_explicit(&next_refresh_ns, memory_order_relaxed);
    // Whoever moves the time on is the one that reads.
    if (now < next ||
        !atomic_compare_exchange_strong_explicit(&next_refresh_ns, &next, now + REFRESH_INTERVAL_NS,
                                                 memory_order_relaxed, memory_order_relaxed))
        return false;
    bool fresh = maps_refresh() == 0;
    uint64_t end = clock_monotonic_ns();
    uint64_t pause = (end - now) * REFRESH_SHARE;
    if (pause > REFRESH_INTERVAL_NS)
        atomic_store_explicit(&next_refresh_ns, end + pause, memory_order_relaxed);
    return fresh;
}

// Apart from rules_find, which is to stay small.
static __attribute__((noinline)) int find_new(uintptr_t pc, struct rule *ret)
{
    if (compile_known(pc, ret))
        return 0;
    return refresh_for_unknown() && compile_known(pc, ret) ? 0 : -ENOENT;
}

int rules_find(uintptr_t pc, struct rule *ret)
{
    // Acquire: pairs with the release in cache_ensure.
    if (cached(atomic_load_explicit(&cache, memory_order_acquire), pc, ret))
        return 0;
    return find_new(pc, ret);
}

void rules_after_fork(void)
{
    modules_after_fork();
    intern_after_fork(&rules_rows);
    lock_reset(&compiling);
}
