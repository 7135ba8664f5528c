// Which bytes are a character: by a table, and by what iconv takes for one.

#include "profiler/base/utf8.h"
#include "tests/test.h"

#include <iconv.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void the_rows_of_the_table_are_characters_and_what_lies_beside_them_is_none(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t left;
        unsigned length;
    } rows[] = {
        // The first and last of each row of Unicode's table 3-7.
        {"\x00", 1, 1},
        {"\x7f", 1, 1},
        {"\xc2\x80", 2, 2},
        {"\xdf\xbf", 2, 2},
        {"\xe0\xa0\x80", 3, 3},
        {"\xe0\xbf\xbf", 3, 3},
        {"\xe1\x80\x80", 3, 3},
        {"\xec\xbf\xbf", 3, 3},
        {"\xed\x80\x80", 3, 3},
        {"\xed\x9f\xbf", 3, 3},
        {"\xee\x80\x80", 3, 3},
        {"\xef\xbf\xbf", 3, 3},
        {"\xf0\x90\x80\x80", 4, 4},
        {"\xf0\xbf\xbf\xbf", 4, 4},
        {"\xf1\x80\x80\x80", 4, 4},
        {"\xf3\xbf\xbf\xbf", 4, 4},
        {"\xf4\x80\x80\x80", 4, 4},
        {"\xf4\x8f\xbf\xbf", 4, 4},
        // Tails that nothing began, and bytes that are nowhere in UTF-8.
        {"\x80", 1, 0},
        {"\xbf", 1, 0},
        {"\xf5\x80\x80\x80", 4, 0},
        {"\xf8\x88\x80\x80\x80", 5, 0},
        {"\xfe", 1, 0},
        {"\xff", 1, 0},
        // Overlong forms.
        {"\xc0\x80", 2, 0},
        {"\xc1\xbf", 2, 0},
        {"\xe0\x80\x80", 3, 0},
        {"\xe0\x9f\xbf", 3, 0},
        {"\xf0\x80\x80\x80", 4, 0},
        {"\xf0\x8f\xbf\xbf", 4, 0},
        // Surrogates.
        {"\xed\xa0\x80", 3, 0},
        {"\xed\xbf\xbf", 3, 0},
        // Above U+10FFFF.
        {"\xf4\x90\x80\x80", 4, 0},
        {"\xf4\xbf\xbf\xbf", 4, 0},
        // The end comes too early.
        {"\xc2\x80", 1, 0},
        {"\xe1\x80\x80", 1, 0},
        {"\xe1\x80\x80", 2, 0},
        {"\xf1\x80\x80\x80", 1, 0},
        {"\xf1\x80\x80\x80", 2, 0},
        {"\xf1\x80\x80\x80", 3, 0},
        // A NUL, or another character, where a tail should be.
        {"\xc2\x00", 2, 0},
        {"\xe1\x00\x80", 3, 0},
        {"\xe1\x80\x00", 3, 0},
        {"\xf1\x00\x80\x80", 4, 0},
        {"\xf1\x80\x00\x80", 4, 0},
        {"\xf1\x80\x80\x00", 4, 0},
        {"\xf1\x80\x80z", 4, 0},
        {"\xe1\x80\xc2", 3, 0},
        // What follows is not looked at.
        {"a\xff", 2, 1},
        {"\xc2\x80\xff", 3, 2},
        {"\xe1\x80\x80\x80", 4, 3},
        {"\xf1\x80\x80\x80\x80", 5, 4},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (utf8_length(rows[i].bytes, rows[i].left) != rows[i].length)
            fail_msg("row %zu: %u", i, utf8_length(rows[i].bytes, rows[i].left));
}

// The bytes of the character that iconv meets first; 0: it takes them for none.
static unsigned judged(iconv_t judge, const unsigned char *bytes, size_t left)
{
    char into[4]; // one character of UTF-32
    char *from = (char *)(uintptr_t)bytes;
    char *to = into;
    size_t room = sizeof(into);
    iconv(judge, NULL, NULL, NULL, NULL);
    iconv(judge, &from, &left, &to, &room);
    return room ? 0 : (unsigned)(from - (char *)(uintptr_t)bytes);
}

static void compare(iconv_t judge, const unsigned char *bytes, size_t left)
{
    unsigned ours = utf8_length((const char *)bytes, left);
    unsigned theirs = judged(judge, bytes, left);
    if (ours != theirs)
        fail_msg("%02x %02x %02x %02x, %zu of them: %u, and iconv says %u", bytes[0], bytes[1],
                 bytes[2], bytes[3], left, ours, theirs);
}

static void iconv_agrees_on_every_kind_of_sequence(void **state)
{
    (void)state;
    // Both sides of every bound that any byte of a sequence has.
    static const unsigned char kinds[] = {0x00, 0x01, 'z',  0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0,
                                          0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xed, 0xf0, 0xff};
    enum { KINDS = sizeof(kinds) };
    iconv_t judge = iconv_open("UTF-32LE", "UTF-8");
    assert_true(judge != (iconv_t)-1);
    for (unsigned first = 0; first <= 0xff; first++) {
        for (unsigned rest = 0; rest < KINDS * KINDS * KINDS; rest++) {
            const unsigned char bytes[] = {(unsigned char)first, kinds[rest / KINDS / KINDS],
                                           kinds[rest / KINDS % KINDS], kinds[rest % KINDS]};
            compare(judge, bytes, sizeof(bytes));
        }
    }
    for (unsigned first = 0; first <= 0xff; first++) {
        for (unsigned second = 0; second <= 0xff; second++) {
            for (unsigned third = 0; third < KINDS; third++) {
                const unsigned char bytes[4] = {(unsigned char)first, (unsigned char)second,
                                                kinds[third]};
                for (size_t left = 1; left <= 3; left++)
                    compare(judge, bytes, left);
            }
        }
    }
    iconv_close(judge);
}

// Text that ends with a NUL, or with what `left` says, ends where memory does.
static void nothing_behind_the_end_is_read(void **state)
{
    (void)state;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(pages != MAP_FAILED);
    assert_int_equal(mprotect(pages + page, page, PROT_NONE), 0);
    static const char whole[] = "\xf1\x80\x80\x80";
    for (size_t length = 1; length <= 4; length++) {
        char *ended = pages + page - length - 1;
        memcpy(ended, whole, length);
        ended[length] = '\0';
        assert_int_equal(utf8_length(ended, UTF8_LONGEST), length == 4 ? 4 : 0);
        char *counted = pages + page - length;
        memcpy(counted, whole, length);
        assert_int_equal(utf8_length(counted, length), length == 4 ? 4 : 0);
    }
    assert_int_equal(munmap(pages, 2 * page), 0);
}

static void a_cut_is_where_a_character_begins(void **state)
{
    (void)state;
    static const char text[] = "a\xc3\xbc\xe6\x97\xa5\xf0\x9f\x90\x98z";
    static const size_t cuts[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11};
    for (size_t i = 0; i < sizeof(cuts) / sizeof(*cuts); i++)
        assert_int_equal(utf8_cut(text, i), cuts[i]);
    // Of what is no text nothing may be left.
    assert_int_equal(utf8_cut("\x80\x80\x80", 2), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rows_of_the_table_are_characters_and_what_lies_beside_them_is_none),
        cmocka_unit_test(iconv_agrees_on_every_kind_of_sequence),
        cmocka_unit_test(nothing_behind_the_end_is_read),
        cmocka_unit_test(a_cut_is_where_a_character_begins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
