#include "backup/chunker.h"

#include <bit>
#include <catch2/catch.hpp>
#include <map>

#include "base/random.h"
#include "tests/support/store_fixture.h"

using namespace regrow;
using namespace regrow::backup;

namespace {

GearTable gear(uint64_t seed) {
    Random random(seed);
    GearTable g{};
    for (uint64_t& v : g) v = random.next();
    return g;
}

constexpr ChunkerLimits kSmall{64, 256, 2048, 128};

// The definition, written as it reads: at each length, hash the bytes since the minimum anew.
size_t naive(const GearTable& g, const ChunkerLimits& l, std::string_view data) {
    for (size_t length = 1; length <= data.size(); ++length) {
        if (length == l.max) return length;
        if (length <= l.min) continue;
        uint64_t hash = 0;
        for (size_t i = l.min; i < length; ++i)
            hash = hash * 2 + g[static_cast<unsigned char>(data[i])];
        const int bits = std::countr_zero(l.average) + (length <= l.average ? 2 : -2);
        if (hash >> (64 - bits) == 0) return length;
    }
    return data.size();
}

std::vector<std::string> cutAll(const Chunker& c, ContentKind kind, std::string_view data) {
    std::vector<std::string> pieces;
    for (size_t at = 0; at < data.size(); at += pieces.back().size())
        pieces.emplace_back(data.substr(at, c.next(kind, at, data.substr(at))));
    return pieces;
}

}  // namespace

TEST_CASE("the chunker cuts where the definition says") {
    for (uint64_t seed = 1; seed <= 40; ++seed) {
        const GearTable g = gear(seed);
        const Chunker chunker(g, kSmall);
        const std::string data =
            test::StoreFixture::noise(Random(seed).below(6000) + 1, seed + 100);
        for (std::string_view rest = data; !rest.empty();) {
            const size_t n = chunker.next(ContentKind::plain, 0, rest);
            REQUIRE(n == naive(g, kSmall, rest));
            rest.remove_prefix(n);
        }
    }
}

TEST_CASE("pieces keep within the limits and put together are the data") {
    const Chunker chunker(gear(5), ChunkerLimits{});
    for (const size_t size : {1UL, 65'535UL, 65'536UL, 65'537UL, 5'000'000UL}) {
        const std::string data = test::StoreFixture::noise(size, size);
        std::string joined;
        const auto pieces = cutAll(chunker, ContentKind::plain, data);
        for (size_t i = 0; i < pieces.size(); ++i) {
            CHECK(pieces[i].size() <= chunker.limits().max);
            if (i + 1 < pieces.size()) CHECK(pieces[i].size() > chunker.limits().min);
            joined += pieces[i];
        }
        CHECK(joined == data);
    }
    CHECK(cutAll(chunker, ContentKind::plain, std::string(65'536, 'x')).size() == 1);
    CHECK(cutAll(chunker, ContentKind::plain, std::string(5 << 20, '\0')).size() ==
          3);  // no cut point: the maximum
}

TEST_CASE("the average is near what was asked for") {
    const Chunker chunker(gear(6), ChunkerLimits{});
    const auto pieces = cutAll(chunker, ContentKind::plain, test::StoreFixture::noise(64 << 20, 6));
    const double average = static_cast<double>(64 << 20) / static_cast<double>(pieces.size());
    CHECK(average > 180'000);
    CHECK(average < 420'000);
}

TEST_CASE("an insertion changes the pieces around it only") {
    const Chunker chunker(gear(7), kSmall);
    const std::string data = test::StoreFixture::noise(100'000, 7);
    std::map<std::string, int> before;
    for (const auto& p : cutAll(chunker, ContentKind::plain, data)) ++before[p];
    size_t fresh = 0;
    for (const auto& p : cutAll(chunker, ContentKind::plain,
                                data.substr(0, 50'000) + "inserted" + data.substr(50'000)))
        fresh += before.contains(p) ? 0 : p.size();
    CHECK(fresh < 10'000);
}

TEST_CASE("the cut does not depend on how much more was offered than the window") {
    const Chunker chunker(gear(8), kSmall);
    const std::string data = test::StoreFixture::noise(20'000, 8);
    for (size_t at = 0; at + kSmall.max < data.size(); at += 997) {
        const auto rest = std::string_view(data).substr(at);
        CHECK(chunker.next(ContentKind::plain, at, rest.substr(0, chunker.window())) ==
              chunker.next(ContentKind::plain, at, rest));
    }
}

TEST_CASE("page files are cut at multiples of the page, wherever the extent begins") {
    const Chunker chunker(gear(9), ChunkerLimits{});
    const std::string data(100'000, 'p');
    CHECK(chunker.next(ContentKind::pages, 0, data) == 16'384);
    CHECK(chunker.next(ContentKind::sqlite, 16'384 * 3 + 100, data) == 16'284);
    CHECK(chunker.next(ContentKind::pages, 0, std::string_view(data).substr(0, 5)) == 5);
}

TEST_CASE("two repositories cut the same data at different places") {
    const std::string data = test::StoreFixture::noise(10'000, 10);
    CHECK(cutAll(Chunker(gear(1), kSmall), ContentKind::plain, data) !=
          cutAll(Chunker(gear(2), kSmall), ContentKind::plain, data));
}
