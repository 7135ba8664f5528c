// Who holds the connections that are allowed at once. One thread takes seats, any may give them
// back.

#pragma once

#include <stdatomic.h>
#include <stdint.h>
#include <sys/socket.h>

struct seats {
    unsigned count;
    _Atomic uint64_t *keys; // a seat's holder; 0: free
};

// What stands for a client's address. SEATS_LOOPBACK for all of this machine's loopback addresses;
// the same for an IPv4 address and its form in IPv6; of IPv6 the first half, because a client may
// choose the other. Never 0.
#define SEATS_LOOPBACK 1
uint64_t seats_key(const struct sockaddr *address, socklen_t length);

// As many as one address may hold: half of them, rounded up. Loopback may hold all, for all that
// is on this machine comes from there.
unsigned seats_share(const struct seats *seats);

// A seat's index; -EBUSY: all are taken; -EDQUOT: this client holds its share.
int seats_take(struct seats *seats, uint64_t key);
void seats_give(struct seats *seats, int seat);
