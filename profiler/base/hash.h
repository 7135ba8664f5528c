// One hash for every table: multiply and fold, good enough for pointers and short strings.
// Not for keys that an attacker chooses: no table here is keyed by a client's input.

#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t hash_mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product =
        (unsigned __int128)(a ^ 0x9e3779b97f4a7c15u) * (b ^ 0xd1342543de82ef95u);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t hash_word(uint64_t word)
{
    return hash_mix(word, 0);
}

static inline uint64_t hash_bytes(const void *bytes, size_t length)
{
    const unsigned char *at = bytes;
    uint64_t hash = length;
    for (; length >= 8; length -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        hash = hash_mix(hash, word);
    }
    uint64_t rest = 0;
    if (length)
        memcpy(&rest, at, length);
    return hash_mix(hash, rest);
}
