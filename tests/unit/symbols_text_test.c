// Strings that are kept are valid UTF-8 whatever the file has; iconv is the judge.

#include "profiler/symbols/symbol_text.h"
#include "tests/test.h"

#include <iconv.h>
#include <stdlib.h>
#include <string.h>

static bool is_valid(const char *text, size_t length)
{
    static char into[1 << 18];
    iconv_t judge = iconv_open("UTF-32LE", "UTF-8");
    assert_true(judge != (iconv_t)-1);
    char *from = (char *)(uintptr_t)text;
    char *to = into;
    size_t room = sizeof(into);
    bool valid = iconv(judge, &from, &length, &to, &room) != (size_t)-1;
    iconv_close(judge);
    return valid;
}

static void valid_text_stays_as_it_is_and_is_kept_once(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "a", "grüße", "日本", "\xf0\x9f\x90\x98", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        const char *kept = symbol_text(texts[i], strlen(texts[i]));
        assert_string_equal(kept, texts[i]);
        assert_ptr_equal(symbol_text(texts[i], strlen(texts[i])), kept);
    }
    assert_string_equal(symbol_text("function@VERSION", 8), "function");
    assert_string_equal(symbol_text("x", 0), "");
}

static void bad_bytes_are_replaced(void **state)
{
    (void)state;
    assert_string_equal(symbol_text("a\xff"
                                    "b",
                                    3),
                        "a\xef\xbf\xbd"
                        "b");
    assert_string_equal(symbol_text("\xc3", 1), "\xef\xbf\xbd");
    // Overlong, a surrogate, above U+10FFFF.
    assert_false(strchr(symbol_text("\xc0\x80", 2), '\xc0') != NULL);
    assert_true(is_valid(symbol_text("\xed\xa0\x80", 3), 9));
    assert_true(is_valid(symbol_text("\xf4\x90\x80\x80", 4), 12));
}

static void random_bytes_become_valid_and_valid_ones_do_not_change(void **state)
{
    (void)state;
    srand48(11);
    for (int round = 0; round < 100000; round++) {
        char text[12];
        size_t length = (size_t)lrand48() % sizeof(text);
        for (size_t i = 0; i < length; i++) {
            // Lead and tail bytes more often than chance would have them.
            static const unsigned char leads[] = {0xc2, 0xe0, 0xed, 0xf0, 0xf4, 0x80, 0xbf, 0xa0};
            text[i] = (char)(lrand48() & 1 ? leads[lrand48() % 8] : 1 + lrand48() % 255);
        }
        const char *kept = symbol_text(text, length);
        assert_true(is_valid(kept, strlen(kept)));
        if (is_valid(text, length)) {
            assert_int_equal(strlen(kept), length);
            assert_memory_equal(kept, text, length);
        }
    }
}

static void very_long_text_is_cut_between_characters(void **state)
{
    (void)state;
    enum { LENGTH = 100001 };
    static char text[LENGTH];
    for (size_t i = 0; i < LENGTH; i++)
        text[i] = "\xe6\x97\xa5"[i % 3];
    const char *kept = symbol_text(text, LENGTH);
    assert_true(strlen(kept) > 10000 && strlen(kept) < LENGTH);
    assert_int_equal(strlen(kept) % 3, 0);
    assert_memory_equal(kept, text, strlen(kept));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_text_stays_as_it_is_and_is_kept_once),
        cmocka_unit_test(bad_bytes_are_replaced),
        cmocka_unit_test(random_bytes_become_valid_and_valid_ones_do_not_change),
        cmocka_unit_test(very_long_text_is_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
