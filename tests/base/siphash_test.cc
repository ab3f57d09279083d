#include "base/siphash.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <string>

using namespace regrow;

// The authors' own test vectors: key 00 01 … 0f, input 00 01 02 … of that length.
TEST_CASE("siphash gives what its authors give") {
    Hash128 key{};
    std::string bytes;
    for (int i = 0; i < 16; ++i)
        reinterpret_cast<unsigned char*>(key.data())[i] = static_cast<unsigned char>(i);
    const auto hex = [&](size_t length) {
        bytes.clear();
        for (size_t i = 0; i < length; ++i) bytes += static_cast<char>(i);
        const Hash128 hash = sipHash(key, bytes);
        std::string text;
        for (size_t i = 0; i < 16; ++i) {
            const auto byte = reinterpret_cast<const unsigned char*>(hash.data())[i];
            text += "0123456789abcdef"[byte >> 4];
            text += "0123456789abcdef"[byte & 15];
        }
        return text;
    };
    CHECK(hex(0) == "a3817f04ba25a8e66df67214c7550293");
    CHECK(hex(1) == "da87c1d86b99af44347659119b22fc45");
    CHECK(hex(8) != hex(7));
}
