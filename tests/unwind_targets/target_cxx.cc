// Stacks of a C++ program.

#include "tests/unwind_targets/target.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace
{

volatile int sink;

struct shape {
    virtual ~shape() = default;
    virtual void draw(const std::string &how) = 0;
};

struct circle : shape {
    std::function<void(int)> then;

    void draw(const std::string &how) override
    {
        then(static_cast<int>(how.size()));
        sink = sink + 1;
    }
};

void virtual_and_function(int depth)
{
    auto drawn = std::make_unique<circle>();
    std::string how(static_cast<size_t>(depth) + 20, 'x');
    drawn->then = [how](int size) {
        target_park();
        sink = sink + size + static_cast<int>(how.size());
    };
    std::unique_ptr<shape> any = std::move(drawn);
    any->draw(how);
}

// In a destructor, while an exception is on its way out.
struct guard {
    ~guard()
    {
        target_park();
        sink = sink + 1;
    }
};

__attribute__((noinline)) void thrower(int depth)
{
    guard on_the_way;
    if (depth >= 0)
        throw std::runtime_error("on purpose");
    sink = sink + 1;
}

void unwinding(int depth)
{
    try {
        thrower(depth);
    } catch (const std::exception &) {
        sink = sink + 1;
    }
}

void sorting(int depth)
{
    std::vector<int> numbers{3, 1, depth};
    bool parked = false;
    std::sort(numbers.begin(), numbers.end(), [&](int a, int b) {
        if (!parked) {
            parked = true;
            target_park();
        }
        return a < b;
    });
    sink = numbers[0];
}

} // namespace

int main(int argc, char **argv)
{
    static const scenario scenarios[] = {
        {"virtual", virtual_and_function},
        {"exception", unwinding},
        {"sort", sorting},
        {nullptr, nullptr},
    };
    return target_main(scenarios, argc, argv);
}
