#include "profiler/snapshot/snapshot.h"

const struct mapping *snapshot_find_mapping(const struct snapshot *snapshot, uintptr_t address)
{
    size_t low = 0;
    size_t high = snapshot->mapping_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (snapshot->mappings[middle].limit <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == snapshot->mapping_count || address < snapshot->mappings[low].start)
        return NULL;
    return &snapshot->mappings[low];
}
