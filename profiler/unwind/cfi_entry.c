// The entries of .eh_frame, and how one is found through the table of .eh_frame_hdr.

#include "profiler/unwind/cfi.h"
#include "profiler/unwind/dwarf_constants.h"

#include <errno.h>

static uintptr_t address_of(const struct cfi_section *section, const struct cursor *cursor)
{
    return section->address + (uintptr_t)(cursor->at - section->bytes);
}

bool cfi_pointer(struct cursor *cursor, const struct cfi_section *section, uint8_t encoding,
                 uintptr_t data, uintptr_t *ret)
{
    uintptr_t here = address_of(section, cursor);
    uintptr_t base;
    switch (encoding & DW_EH_PE_relative) {
    case DW_EH_PE_absptr:
        base = 0;
        break;
    case DW_EH_PE_pcrel:
        base = here;
        break;
    case DW_EH_PE_datarel:
        base = data;
        break;
    case DW_EH_PE_aligned:
        base = 0;
        cursor_skip(cursor, -here % sizeof(uintptr_t));
        break;
    default: // relative to a text base or function: nobody's on the architectures known here
        return false;
    }
    uint64_t value;
    switch (encoding & DW_EH_PE_format) {
    case DW_EH_PE_absptr:
    case DW_EH_PE_udata8:
    case DW_EH_PE_sdata8:
        value = cursor_unsigned(cursor, 8);
        break;
    case DW_EH_PE_uleb128:
        value = cursor_uleb128(cursor);
        break;
    case DW_EH_PE_udata2:
        value = cursor_unsigned(cursor, 2);
        break;
    case DW_EH_PE_udata4:
        value = cursor_unsigned(cursor, 4);
        break;
    case DW_EH_PE_sleb128:
        value = (uint64_t)cursor_sleb128(cursor);
        break;
    case DW_EH_PE_sdata2:
        value = (uint64_t)cursor_signed(cursor, 2);
        break;
    case DW_EH_PE_sdata4:
        value = (uint64_t)cursor_signed(cursor, 4);
        break;
    default:
        return false;
    }
    *ret = value ? base + value : 0;
    return !cursor->failed && !(encoding & DW_EH_PE_indirect);
}

// The header that a CIE and an FDE share: the cursor then ends with the entry.
// *ret_id_at is where the CIE pointer lies; 0, -ENODATA, -EINVAL as cfi_entry_at.
static int entry_begin(const struct cfi_section *frames, size_t offset, struct cursor *ret,
                       size_t *ret_id_at, uint64_t *ret_id, size_t *ret_next)
{
    *ret_next = SIZE_MAX;
    if (offset >= frames->length)
        return -ENODATA;
    struct cursor cursor = cursor_of(frames->bytes + offset, frames->length - offset);
    uint64_t length = cursor_unsigned(&cursor, 4);
    if (length == 0)
        return -ENODATA;
    if (length == UINT32_MAX)
        length = cursor_unsigned(&cursor, 8);
    if (cursor.failed || length < 4 || length > cursor_left(&cursor))
        return -EINVAL;
    cursor.end = cursor.at + length;
    *ret_next = (size_t)(cursor.end - frames->bytes);
    *ret_id_at = (size_t)(cursor.at - frames->bytes);
    *ret_id = cursor_unsigned(&cursor, 4);
    *ret = cursor;
    return 0;
}

static bool parse_augmentation(const char *text, struct cursor *data,
                               const struct cfi_section *frames, struct cfi_entry *ret)
{
    for (; *text; text++) {
        switch (*text) {
        case 'R':
            ret->encoding = (uint8_t)cursor_unsigned(data, 1);
            break;
        case 'L':
            cursor_unsigned(data, 1);
            break;
        case 'P': {
            // The personality routine: only its length matters here.
            uint8_t encoding = (uint8_t)cursor_unsigned(data, 1);
            uintptr_t ignored;
            if (!cfi_pointer(data, frames, encoding & (uint8_t)~DW_EH_PE_indirect, 0, &ignored))
                return false;
            break;
        }
        case 'S':
            ret->signal_frame = true;
            break;
        case 'B': // return addresses signed with the B key; 'G': tagged stack (both aarch64)
        case 'G':
            break;
        default:
            return false;
        }
    }
    return !data->failed;
}

static int parse_cie(const struct cfi_section *frames, size_t offset, bool *ret_has_length,
                     struct cfi_entry *ret)
{
    struct cursor cursor;
    size_t id_at, next;
    uint64_t id;
    if (entry_begin(frames, offset, &cursor, &id_at, &id, &next) != 0 || id != 0)
        return -EINVAL;
    uint64_t version = cursor_unsigned(&cursor, 1);
    const char *text = (const char *)cursor.at;
    const uint8_t *nul = cursor_left(&cursor) ? memchr(cursor.at, 0, cursor_left(&cursor)) : NULL;
    if (!nul || (version != 1 && version != 3 && version != 4))
        return -EINVAL;
    cursor.at = nul + 1;
    if (version == 4 && cursor_unsigned(&cursor, 2) != sizeof(uintptr_t))
        return -EINVAL; // address size 8, segment size 0
    ret->code_align = cursor_uleb128(&cursor);
    ret->data_align = cursor_sleb128(&cursor);
    ret->ra_register = version == 1 ? cursor_unsigned(&cursor, 1) : cursor_uleb128(&cursor);
    ret->encoding = DW_EH_PE_absptr;
    ret->signal_frame = false;
    *ret_has_length = *text == 'z';
    if (*ret_has_length) {
        uint64_t length = cursor_uleb128(&cursor);
        const uint8_t *data = cursor_skip(&cursor, length);
        if (!data)
            return -EINVAL;
        struct cursor augmentation = cursor_of(data, length);
        if (!parse_augmentation(text + 1, &augmentation, frames, ret))
            return -EINVAL;
    } else if (*text) {
        return -EINVAL;
    }
    ret->common = cursor;
    return cursor.failed ? -EINVAL : 0;
}

int cfi_entry_at(const struct cfi_sections *sections, size_t offset, struct cfi_entry *ret)
{
    const struct cfi_section *frames = &sections->frames;
    struct cursor cursor;
    size_t id_at;
    uint64_t id;
    int error = entry_begin(frames, offset, &cursor, &id_at, &id, &ret->next);
    if (error)
        return error;
    if (id == 0)
        return -ENOENT;
    bool has_length;
    if (id > id_at || parse_cie(frames, id_at - id, &has_length, ret) != 0)
        return -EINVAL;
    uintptr_t start, length;
    if (!cfi_pointer(&cursor, frames, ret->encoding, sections->header.address, &start) ||
        !cfi_pointer(&cursor, frames, ret->encoding & DW_EH_PE_format, 0, &length))
        return -EINVAL;
    if (has_length)
        cursor_skip(&cursor, cursor_uleb128(&cursor));
    if (cursor.failed || length > UINTPTR_MAX - start)
        return -EINVAL;
    ret->start = start;
    ret->limit = start + length;
    ret->own = cursor;
    return 0;
}

static size_t encoded_size(uint8_t encoding)
{
    switch (encoding & DW_EH_PE_format) {
    case DW_EH_PE_udata2:
    case DW_EH_PE_sdata2:
        return 2;
    case DW_EH_PE_udata4:
    case DW_EH_PE_sdata4:
        return 4;
    case DW_EH_PE_absptr:
    case DW_EH_PE_udata8:
    case DW_EH_PE_sdata8:
        return 8;
    default:
        return 0;
    }
}

struct search_table {
    struct cursor entries;
    uint8_t encoding;
    size_t size; // of one of an entry's two pointers
    size_t count;
};

static bool table_of(const struct cfi_section *header, struct search_table *ret)
{
    if (!header->length)
        return false;
    struct cursor cursor = cursor_of(header->bytes, header->length);
    uint64_t version = cursor_unsigned(&cursor, 1);
    uint8_t frames_encoding = (uint8_t)cursor_unsigned(&cursor, 1);
    uint8_t count_encoding = (uint8_t)cursor_unsigned(&cursor, 1);
    ret->encoding = (uint8_t)cursor_unsigned(&cursor, 1);
    uintptr_t frames, count;
    if (cursor.failed || version != 1 || count_encoding == DW_EH_PE_omit ||
        ret->encoding == DW_EH_PE_omit || frames_encoding == DW_EH_PE_omit ||
        !cfi_pointer(&cursor, header, frames_encoding, header->address, &frames) ||
        !cfi_pointer(&cursor, header, count_encoding, header->address, &count))
        return false;
    ret->size = encoded_size(ret->encoding);
    if (!ret->size || count == 0 || count > cursor_left(&cursor) / (2 * ret->size))
        return false;
    ret->count = count;
    ret->entries = cursor;
    return true;
}

// Entry `index` of the table: where its code starts and where its FDE lies.
static bool table_entry(const struct cfi_section *header, const struct search_table *table,
                        size_t index, uintptr_t *ret_start, uintptr_t *ret_entry)
{
    struct cursor cursor = table->entries;
    cursor_skip(&cursor, index * 2 * table->size);
    return cfi_pointer(&cursor, header, table->encoding, header->address, ret_start) &&
           cfi_pointer(&cursor, header, table->encoding, header->address, ret_entry);
}

static size_t search_table(const struct cfi_sections *sections, const struct search_table *table,
                           uintptr_t pc)
{
    size_t low = 0, high = table->count;
    uintptr_t start, entry = 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        uintptr_t candidate;
        if (!table_entry(&sections->header, table, middle, &start, &candidate))
            return SIZE_MAX;
        if (start <= pc) {
            low = middle + 1;
            entry = candidate;
        } else {
            high = middle;
        }
    }
    if (low == 0 || entry < sections->frames.address ||
        entry - sections->frames.address >= sections->frames.length)
        return SIZE_MAX;
    return entry - sections->frames.address;
}

static size_t search_all(const struct cfi_sections *sections, uintptr_t pc)
{
    size_t offset = 0;
    while (offset != SIZE_MAX) {
        struct cfi_entry entry;
        int error = cfi_entry_at(sections, offset, &entry);
        if (error == 0 && entry.start <= pc && pc < entry.limit)
            return offset;
        if (error == -ENODATA)
            break;
        offset = entry.next;
    }
    return SIZE_MAX;
}

size_t cfi_search(const struct cfi_sections *sections, uintptr_t pc)
{
    struct search_table table;
    if (table_of(&sections->header, &table))
        return search_table(sections, &table, pc);
    return search_all(sections, pc);
}
