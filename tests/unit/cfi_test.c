// The rows are those that libdw reads from the same bytes.

#include "profiler/unwind/cfi.h"
#include "tests/test.h"

#include <dlfcn.h>
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// A file with its sections as libelf reads them, and libdw's view of them.
struct file {
    int fd;
    Elf *elf;
    Dwarf_CFI *cfi;
    struct cfi_sections sections;
};

static void file_open(struct file *file, const char *path)
{
    elf_version(EV_CURRENT);
    file->fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(file->fd >= 0);
    file->elf = elf_begin(file->fd, ELF_C_READ, NULL);
    assert_non_null(file->elf);
    file->cfi = dwarf_getcfi_elf(file->elf);
    assert_non_null(file->cfi);
    size_t names;
    assert_int_equal(elf_getshdrstrndx(file->elf, &names), 0);
    file->sections = (struct cfi_sections){0};
    for (Elf_Scn *at = NULL; (at = elf_nextscn(file->elf, at));) {
        GElf_Shdr header;
        gelf_getshdr(at, &header);
        const char *name = elf_strptr(file->elf, names, header.sh_name);
        struct cfi_section *to = strcmp(name, ".eh_frame") == 0       ? &file->sections.frames
                                 : strcmp(name, ".eh_frame_hdr") == 0 ? &file->sections.header
                                                                      : NULL;
        if (!to)
            continue;
        Elf_Data *data = elf_rawdata(at, NULL);
        *to = (struct cfi_section){
            .bytes = data->d_buf, .length = data->d_size, .address = header.sh_addr};
    }
    assert_true(file->sections.header.length > 0 && file->sections.frames.length > 0);
}

static void file_close(struct file *file)
{
    dwarf_cfi_end(file->cfi);
    elf_end(file->elf);
    close(file->fd);
}

static bool same_expression(const struct cfi_rule *rule, const Dwarf_Op *ops, size_t count)
{
    // Those that occur in the files here; any other one differs in its number of operations.
    struct cursor cursor = cursor_of(rule->expression, rule->length);
    size_t seen = 0;
    while (cursor.at < cursor.end) {
        uint8_t op = *cursor.at++;
        if (seen >= count || ops[seen].atom != op)
            return false;
        if (op >= DW_OP_breg0 && op <= DW_OP_breg31) {
            if ((Dwarf_Word)cursor_sleb128(&cursor) != ops[seen].number)
                return false;
        } else if (op == DW_OP_plus_uconst || op == DW_OP_constu) {
            if (cursor_uleb128(&cursor) != ops[seen].number)
                return false;
        } else if (op == DW_OP_const1u) {
            if (cursor_unsigned(&cursor, 1) != ops[seen].number)
                return false;
        }
        seen++;
    }
    return seen == count && !cursor.failed;
}

static void same_cfa(const struct cfi_row *row, Dwarf_Frame *frame, uintptr_t pc)
{
    Dwarf_Op *ops;
    size_t count;
    assert_int_equal(dwarf_frame_cfa(frame, &ops, &count), 0);
    if (row->cfa.kind == CFI_VAL_EXPRESSION) {
        if (!same_expression(&row->cfa, ops, count))
            fail_msg("%#lx: another expression for the CFA", (unsigned long)pc);
        return;
    }
    // libdw says register + offset as DW_OP_bregx.
    if (count != 1 || ops[0].atom != DW_OP_bregx || row->cfa.kind != CFI_VAL_OFFSET ||
        ops[0].number != row->cfa_register || ops[0].number2 != (Dwarf_Word)row->cfa.offset)
        fail_msg("%#lx: another CFA", (unsigned long)pc);
}

static void same_register(const struct cfi_rule *rule, Dwarf_Frame *frame, int dwarf, bool is_ra,
                          uintptr_t pc)
{
    Dwarf_Op memory[3], *ops;
    size_t count;
    assert_int_equal(dwarf_frame_register(frame, dwarf, memory, &ops, &count), 0);
    bool same = false;
    switch (rule->kind) {
    case CFI_UNSPECIFIED:
        // libdw knows the ABI: callee-saved registers are "same value" by default.
        same = count == 0 && (!is_ra || ops != NULL);
        break;
    case CFI_SAME:
        same = count == 0 && ops == NULL;
        break;
    case CFI_UNDEFINED:
        same = count == 0 && ops == memory;
        break;
    case CFI_OFFSET:
        same = count >= 1 && ops[0].atom == DW_OP_call_frame_cfa &&
               (rule->offset == 0 ? count == 1
                                  : count == 2 && ops[1].atom == DW_OP_plus_uconst &&
                                        ops[1].number == (Dwarf_Word)rule->offset);
        break;
    case CFI_REGISTER:
        same = count == 1 && ops[0].atom == DW_OP_regx && ops[0].number == (uint64_t)rule->offset;
        break;
    case CFI_EXPRESSION:
        same = count >= 1 && ops[0].atom == DW_OP_call_frame_cfa
                   ? same_expression(rule, ops + 1, count - 1)
                   : same_expression(rule, ops, count);
        break;
    default:
        break;
    }
    if (!same)
        fail_msg("%#lx: another rule for register %d (kind %u)", (unsigned long)pc, dwarf,
                 rule->kind);
}

static const int saved[] = {3, 6, 12, 13, 14, 15}; // x86-64's, in the order of arch_saved

// Compares every step-th instruction address of every entry; returns how many were compared.
static unsigned compare_file(const char *path, unsigned step, unsigned *ret_expressions)
{
    static struct cfi_scratch scratch;
    struct file file;
    file_open(&file, path);
    unsigned compared = 0;
    size_t offset = 0;
    for (;;) {
        struct cfi_entry entry;
        int error = cfi_entry_at(&file.sections, offset, &entry);
        if (error == -ENODATA)
            break;
        assert_true(error == 0 || error == -ENOENT);
        offset = entry.next;
        if (error)
            continue;
        for (uintptr_t pc = entry.start; pc < entry.limit; pc += step) {
            struct cfi_row row;
            assert_int_equal(cfi_row_at(&file.sections, pc, &scratch, &row), 0);
            Dwarf_Frame *frame;
            if (dwarf_cfi_addrframe(file.cfi, pc, &frame) != 0)
                fail_msg("%s %#lx: %s", path, (unsigned long)pc, dwarf_errmsg(-1));
            bool signal;
            int ra = dwarf_frame_info(frame, NULL, NULL, &signal);
            assert_int_equal(ra, ARCH_DWARF_RA);
            assert_int_equal(!!row.signal_frame, signal);
            same_cfa(&row, frame, pc);
            for (int i = 0; i < ARCH_SAVED; i++)
                same_register(&row.saved[i], frame, saved[i], false, pc);
            same_register(&row.ra, frame, ra, true, pc);
            *ret_expressions += row.cfa.kind == CFI_VAL_EXPRESSION;
            compared++;
            free(frame);
        }
    }
    file_close(&file);
    return compared;
}

static void path_of(const void *address, char *into, size_t room)
{
    Dl_info info;
    assert_true(dladdr(address, &info) != 0);
    assert_true(strlen(info.dli_fname) < room);
    memcpy(into, info.dli_fname, strlen(info.dli_fname) + 1);
}

static void rows_of_libc_are_libdws(void **state)
{
    (void)state;
    char path[4096];
    path_of((const void *)(uintptr_t)&getpid, path, sizeof(path));
    unsigned expressions = 0;
    assert_true(compare_file(path, 13, &expressions) > 50000);
    assert_true(expressions > 0);
}

static void rows_of_libstdcxx_are_libdws(void **state)
{
    (void)state;
    void *handle = dlopen("libstdc++.so.6", RTLD_NOW);
    if (!handle)
        skip();
    char path[4096];
    path_of(dlsym(handle, "__cxa_throw"), path, sizeof(path));
    unsigned expressions = 0;
    assert_true(compare_file(path, 29, &expressions) > 10000);
    dlclose(handle);
}

static void rows_of_this_program_are_libdws(void **state)
{
    (void)state;
    unsigned expressions = 0;
    assert_true(compare_file("/proc/self/exe", 1, &expressions) > 1000);
}

static void the_search_table_and_the_long_way_find_the_same_entry(void **state)
{
    (void)state;
    struct file file;
    char path[4096];
    path_of((const void *)(uintptr_t)&getpid, path, sizeof(path));
    file_open(&file, path);
    struct cfi_sections no_table = file.sections;
    no_table.header.length = 0;
    unsigned compared = 0;
    size_t offset = 0;
    for (struct cfi_entry entry;; offset = entry.next) {
        int error = cfi_entry_at(&file.sections, offset, &entry);
        if (error == -ENODATA)
            break;
        if (error || compared++ % 16)
            continue;
        uintptr_t last = entry.limit - 1;
        assert_int_equal(cfi_search(&file.sections, entry.start), offset);
        assert_int_equal(cfi_search(&no_table, entry.start), offset);
        assert_int_equal(cfi_search(&file.sections, last), offset);
        assert_int_equal(cfi_search(&no_table, last), offset);
    }
    assert_true(compared > 1000);
    file_close(&file);
}

// A CIE (version 1, augmentation "zR", code 1, data -8, RA 16, absolute pointers) that defines
// CFA = rsp + 8 and RA at CFA - 8, and one FDE for 0x1000 … 0x1100 with a program of the caller's.
static size_t handmade(uint8_t *into, const uint8_t *program, size_t length)
{
    static const uint8_t cie[] = {20, 0,    0,  0, 0, 0,    0, 0, 1,    'z', 'R', 0,
                                  1,  0x78, 16, 1, 0, 0x0c, 7, 8, 0x90, 1,   0,   0};
    memcpy(into, cie, sizeof(cie));
    uint8_t *at = into + sizeof(cie);
    uint32_t size = (uint32_t)(4 + 8 + 8 + 1 + length), back = sizeof(cie) + 4;
    uint64_t start = 0x1000, range = 0x100;
    memcpy(at, &size, 4);
    memcpy(at + 4, &back, 4);
    memcpy(at + 8, &start, 8);
    memcpy(at + 16, &range, 8);
    at[24] = 0;
    memcpy(at + 25, program, length);
    return sizeof(cie) + 4 + size;
}

static int row_of(const uint8_t *program, size_t length, uintptr_t pc, struct cfi_row *ret)
{
    static struct cfi_scratch scratch;
    uint8_t bytes[512];
    struct cfi_sections sections = {
        .frames = {.bytes = bytes, .length = handmade(bytes, program, length), .address = 0x5000}};
    return cfi_row_at(&sections, pc, &scratch, ret);
}

static void every_operation_has_its_effect(void **state)
{
    (void)state;
    static const uint8_t program[] = {DW_CFA_def_cfa_offset,
                                      16,
                                      DW_CFA_offset | 6,
                                      2,
                                      DW_CFA_advance_loc | 4,
                                      DW_CFA_remember_state,
                                      DW_CFA_same_value,
                                      3,
                                      DW_CFA_undefined,
                                      12,
                                      DW_CFA_register,
                                      13,
                                      14,
                                      DW_CFA_val_offset,
                                      14,
                                      3,
                                      DW_CFA_offset_extended_sf,
                                      15,
                                      0x7f,
                                      DW_CFA_def_cfa_sf,
                                      6,
                                      0x7c,
                                      DW_CFA_GNU_args_size,
                                      0x80,
                                      1,
                                      DW_CFA_advance_loc1,
                                      4,
                                      DW_CFA_restore_state,
                                      DW_CFA_restore | 6,
                                      DW_CFA_advance_loc2,
                                      4,
                                      0,
                                      DW_CFA_offset_extended,
                                      3,
                                      5,
                                      DW_CFA_restore_extended,
                                      3,
                                      DW_CFA_GNU_negative_offset_extended,
                                      12,
                                      1,
                                      DW_CFA_undefined,
                                      16,
                                      DW_CFA_advance_loc4,
                                      4,
                                      0,
                                      0,
                                      0,
                                      DW_CFA_restore | 16,
                                      DW_CFA_def_cfa_register,
                                      6,
                                      DW_CFA_def_cfa_offset_sf,
                                      0x7e,
                                      DW_CFA_set_loc,
                                      0x80,
                                      0x10,
                                      0,
                                      0,
                                      0,
                                      0,
                                      0,
                                      0,
                                      DW_CFA_nop,
                                      DW_CFA_val_expression,
                                      3,
                                      1,
                                      DW_OP_lit5,
                                      DW_CFA_def_cfa_expression,
                                      2,
                                      DW_OP_breg7,
                                      8,
                                      DW_CFA_expression,
                                      6,
                                      1,
                                      DW_OP_lit1};
    struct cfi_row row;
#define ROW_AT(pc) assert_int_equal(row_of(program, sizeof(program), pc, &row), 0)
    ROW_AT(0x1000);
    assert_int_equal(row.cfa.offset, 16);
    assert_int_equal(row.cfa_register, 7);
    assert_int_equal(row.saved[ARCH_FP].kind, CFI_OFFSET);
    assert_int_equal(row.saved[ARCH_FP].offset, -16);
    assert_int_equal(row.ra.offset, -8);
    ROW_AT(0x1003);
    assert_int_equal(row.saved[ARCH_RBX].kind, CFI_UNSPECIFIED);
    ROW_AT(0x1004);
    assert_int_equal(row.saved[ARCH_RBX].kind, CFI_SAME);
    assert_int_equal(row.saved[ARCH_R12].kind, CFI_UNDEFINED);
    assert_int_equal(row.saved[ARCH_R12 + 1].kind, CFI_REGISTER);
    assert_int_equal(row.saved[ARCH_R12 + 1].offset, 14);
    assert_int_equal(row.saved[ARCH_R14].kind, CFI_VAL_OFFSET);
    assert_int_equal(row.saved[ARCH_R14].offset, -24);
    assert_int_equal(row.saved[ARCH_R15].offset, 8);
    assert_int_equal(row.cfa_register, 6);
    assert_int_equal(row.cfa.offset, 32);
    ROW_AT(0x1008);
    assert_int_equal(row.saved[ARCH_FP].kind, CFI_UNSPECIFIED);
    assert_int_equal(row.saved[ARCH_R12].kind, CFI_UNSPECIFIED);
    assert_int_equal(row.cfa_register, 7);
    assert_int_equal(row.cfa.offset, 16);
    ROW_AT(0x100c);
    assert_int_equal(row.saved[ARCH_RBX].kind, CFI_UNSPECIFIED);
    assert_int_equal(row.saved[ARCH_R12].offset, 8);
    assert_int_equal(row.ra.kind, CFI_UNDEFINED);
    ROW_AT(0x1010);
    assert_int_equal(row.ra.kind, CFI_OFFSET);
    assert_int_equal(row.cfa_register, 6);
    assert_int_equal(row.cfa.offset, 16);
    ROW_AT(0x107f);
    assert_int_equal(row.cfa.kind, CFI_VAL_OFFSET);
    ROW_AT(0x1080);
    assert_int_equal(row.cfa.kind, CFI_VAL_EXPRESSION);
    assert_int_equal(row.cfa.length, 2);
    assert_int_equal(row.saved[ARCH_RBX].kind, CFI_VAL_EXPRESSION);
    assert_int_equal(row.saved[ARCH_FP].kind, CFI_EXPRESSION);
    assert_int_equal(row_of(program, sizeof(program), 0xfff, &row), -ENOENT);
    assert_int_equal(row_of(program, sizeof(program), 0x1100, &row), -ENOENT);
}

static void programs_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    struct cfi_row row;
    static const uint8_t unknown[] = {0x3c};
    static const uint8_t cut[] = {DW_CFA_def_cfa_offset, 0x80};
    static const uint8_t not_remembered[] = {DW_CFA_restore_state};
    static const uint8_t long_expression[] = {DW_CFA_def_cfa_expression, 100, 1};
    static const uint8_t endless_number[] = {
        DW_CFA_def_cfa_offset, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1};
    uint8_t deep[CFI_REMEMBER_MAX + 1];
    memset(deep, DW_CFA_remember_state, sizeof(deep));
    assert_int_equal(row_of(unknown, sizeof(unknown), 0x1000, &row), -EINVAL);
    assert_int_equal(row_of(cut, sizeof(cut), 0x1000, &row), -EINVAL);
    assert_int_equal(row_of(not_remembered, sizeof(not_remembered), 0x1000, &row), -EINVAL);
    assert_int_equal(row_of(long_expression, sizeof(long_expression), 0x1000, &row), -EINVAL);
    assert_int_equal(row_of(endless_number, sizeof(endless_number), 0x1000, &row), -EINVAL);
    assert_int_equal(row_of(deep, sizeof(deep) - 1, 0x1000, &row), 0);
    assert_int_equal(row_of(deep, sizeof(deep), 0x1000, &row), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_libc_are_libdws),
        cmocka_unit_test(rows_of_libstdcxx_are_libdws),
        cmocka_unit_test(rows_of_this_program_are_libdws),
        cmocka_unit_test(the_search_table_and_the_long_way_find_the_same_entry),
        cmocka_unit_test(every_operation_has_its_effect),
        cmocka_unit_test(programs_that_make_no_sense_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
