#include "http/seats.h"

#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

static uint64_t key_of_ipv4(uint32_t address)
{
    // No network of IPv6 in use begins with so many zeros.
    return address >> 24 == IN_LOOPBACKNET ? SEATS_LOOPBACK : (uint64_t)1 << 32 | address;
}

uint64_t seats_key(const struct sockaddr *address, socklen_t length)
{
    if (length >= sizeof(struct sockaddr_in) && address->sa_family == AF_INET)
        return key_of_ipv4(ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr));
    if (length < sizeof(struct sockaddr_in6) || address->sa_family != AF_INET6)
        return SEATS_LOOPBACK;
    const struct in6_addr *ipv6 = &((const struct sockaddr_in6 *)address)->sin6_addr;
    uint32_t last;
    uint64_t network;
    memcpy(&last, ipv6->s6_addr + 12, sizeof(last));
    memcpy(&network, ipv6->s6_addr, sizeof(network));
    if (IN6_IS_ADDR_V4MAPPED(ipv6))
        return key_of_ipv4(ntohl(last));
    return network ? be64toh(network) : SEATS_LOOPBACK; // ::1 is the one address there
}

unsigned seats_share(const struct seats *seats)
{
    return seats->count - seats->count / 2;
}

// Relaxed everywhere: nothing but the seat itself hangs on it. A seat that is given back during the
// count is at worst seen too late.
int seats_take(struct seats *seats, uint64_t key)
{
    int vacant = -EBUSY;
    unsigned held = 0;
    for (unsigned i = 0; i < seats->count; i++) {
        uint64_t holder = atomic_load_explicit(&seats->keys[i], memory_order_relaxed);
        if (holder == 0)
            vacant = (int)i;
        held += holder == key;
    }
    if (vacant < 0)
        return vacant;
    if (key != SEATS_LOOPBACK && held >= seats_share(seats))
        return -EDQUOT;
    atomic_store_explicit(&seats->keys[vacant], key, memory_order_relaxed);
    return vacant;
}

void seats_give(struct seats *seats, int seat)
{
    atomic_store_explicit(&seats->keys[seat], 0, memory_order_relaxed);
}
