// The same in C++: namespaces, templates, lambdas, local classes, virtual calls, exceptions.

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace shapes
{
namespace
{
template <typename T> inline T clamp(T value, T low, T high)
{
    return std::min(std::max(value, low), high);
}
} // namespace

class Shape
{
  public:
    virtual ~Shape() = default;
    virtual double area() const = 0;
    int sides() const
    {
        return clamp(sides_, 3, 12);
    }

  protected:
    int sides_ = std::rand();
};

class Square : public Shape
{
  public:
    explicit Square(double size) : size_(size)
    {
        if (size < 0)
            throw std::invalid_argument("size " + std::to_string(size));
    }
    double area() const override
    {
        return clamp(size_ * size_, 0.5, 1e9);
    }

  private:
    double size_;
};

double total(const std::vector<Shape *> &all)
{
    struct Adder {
        double sum = 0;
        void add(const Shape *shape)
        {
            sum += shape->area() * shape->sides();
        }
    } adder;
    std::for_each(all.begin(), all.end(), [&](const Shape *shape) { adder.add(shape); });
    return adder.sum;
}

std::map<std::string, std::vector<int>> index(const std::vector<std::string> &names)
{
    std::map<std::string, std::vector<int>> result;
    int at = 0;
    for (const auto &name : names)
        result[name].push_back(at++);
    for (auto &entry : result)
        std::sort(entry.second.begin(), entry.second.end(), std::greater<int>());
    return result;
}
} // namespace shapes

extern "C" int shapes_run(int count)
{
    std::vector<shapes::Shape *> all;
    try {
        for (int i = -1; i < count; i++)
            all.push_back(new shapes::Square(i));
    } catch (const std::exception &error) {
        count += static_cast<int>(std::string(error.what()).size());
    }
    double sum = shapes::total(all);
    for (auto *shape : all)
        delete shape;
    return static_cast<int>(sum) + static_cast<int>(shapes::index({"a", "b", "a"}).size()) + count;
}

#ifdef WITH_MAIN
int main(int count, char **)
{
    return shapes_run(count) & 1;
}
#endif
