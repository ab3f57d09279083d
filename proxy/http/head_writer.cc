#include "proxy/http/head_writer.h"

#include <array>
#include <charconv>

namespace regrow::proxy {
namespace {

void addInBase(HeadWriter& out, uint64_t number, int base) {
    std::array<char, 20> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number, base).ptr;
    out.add(std::string_view(digits.data(), static_cast<size_t>(end - digits.data())));
}

}  // namespace

void HeadWriter::addNumber(uint64_t number) {
    addInBase(*this, number, 10);
}
void HeadWriter::addHex(uint64_t number) {
    addInBase(*this, number, 16);
}

}  // namespace regrow::proxy
