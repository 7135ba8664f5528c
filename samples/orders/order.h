// What flows through the service.

#pragma once

#include <stdint.h>

struct order {
    uint64_t number;
    uint32_t quantity;
    uint32_t cents; // 0 until it is priced
};
