// How many connections one address may hold.

#include "http/seats.h"

#include "tests/test.h"

#include <arpa/inet.h>
#include <errno.h>

static uint64_t key_of(const char *text)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(1)};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(2)};
    if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1)
        return seats_key((const struct sockaddr *)&v6, sizeof(v6));
    assert_int_equal(inet_pton(AF_INET, text, &v4.sin_addr), 1);
    return seats_key((const struct sockaddr *)&v4, sizeof(v4));
}

static void loopback_is_one_address_in_all_its_forms(void **state)
{
    static const char *const loopback[] = {"127.0.0.1", "127.0.0.2", "127.255.255.255", "::1",
                                           "::ffff:127.0.0.1"};
    (void)state;
    for (size_t i = 0; i < sizeof(loopback) / sizeof(loopback[0]); i++)
        assert_int_equal(key_of(loopback[i]), SEATS_LOOPBACK);
    assert_int_not_equal(key_of("128.0.0.1"), SEATS_LOOPBACK);
    assert_int_not_equal(key_of("126.255.255.255"), SEATS_LOOPBACK);
    assert_int_not_equal(key_of("::ffff:10.0.0.1"), SEATS_LOOPBACK);
    assert_int_not_equal(key_of("2001:db8::1"), SEATS_LOOPBACK);
}

static void addresses_of_one_client_have_one_key(void **state)
{
    (void)state;
    assert_int_equal(key_of("10.0.0.1"), key_of("::ffff:10.0.0.1"));
    assert_int_equal(key_of("2001:db8:1:2::3"), key_of("2001:db8:1:2:ffff::4"));
    assert_int_not_equal(key_of("10.0.0.1"), key_of("10.0.0.2"));
    assert_int_not_equal(key_of("2001:db8:1:2::3"), key_of("2001:db8:1:3::3"));
    // Bytes that would be the same number if they were read the wrong way round.
    assert_int_not_equal(key_of("2001:db8:100::1"), key_of("184.13.1.32"));
    assert_int_not_equal(key_of("0.0.0.0"), 0);
}

static void one_address_gets_half_and_no_more(void **state)
{
    _Atomic uint64_t keys[5] = {0};
    struct seats seats = {.count = 5, .keys = keys};
    uint64_t one = key_of("10.0.0.1");
    uint64_t other = key_of("10.0.0.2");
    int held[3];
    (void)state;
    for (int i = 0; i < 3; i++) {
        held[i] = seats_take(&seats, one);
        assert_in_range(held[i], 0, 4);
    }
    assert_int_equal(seats_take(&seats, one), -EDQUOT);
    assert_in_range(seats_take(&seats, other), 0, 4);
    assert_in_range(seats_take(&seats, other), 0, 4);
    // Which of both it is does not matter to a client, but full is full for everyone.
    assert_int_equal(seats_take(&seats, one), -EBUSY);
    assert_int_equal(seats_take(&seats, SEATS_LOOPBACK), -EBUSY);
    seats_give(&seats, held[1]);
    assert_int_equal(seats_take(&seats, one), held[1]);
}

static void loopback_may_hold_all(void **state)
{
    _Atomic uint64_t keys[4] = {0};
    struct seats seats = {.count = 4, .keys = keys};
    (void)state;
    for (int i = 0; i < 4; i++)
        assert_in_range(seats_take(&seats, SEATS_LOOPBACK), 0, 3);
    assert_int_equal(seats_take(&seats, SEATS_LOOPBACK), -EBUSY);
}

static void the_only_connection_may_be_had_by_anyone(void **state)
{
    _Atomic uint64_t keys[1] = {0};
    struct seats seats = {.count = 1, .keys = keys};
    (void)state;
    int seat = seats_take(&seats, key_of("10.0.0.1"));
    assert_int_equal(seat, 0);
    seats_give(&seats, seat);
    assert_int_equal(seats_take(&seats, key_of("10.0.0.2")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loopback_is_one_address_in_all_its_forms),
        cmocka_unit_test(addresses_of_one_client_have_one_key),
        cmocka_unit_test(one_address_gets_half_and_no_more),
        cmocka_unit_test(loopback_may_hold_all),
        cmocka_unit_test(the_only_connection_may_be_had_by_anyone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
