#include "proxy/balance/request_key.h"

#include <algorithm>
#include <cstring>

namespace regrow {
namespace {

// The finisher of MurmurHash3 (Austin Appleby): every bit of the input reaches every bit.
uint64_t mix(uint64_t h) {
    h ^= h >> 33U;
    h *= 0xff51afd7ed558ccdULL;
    h ^= h >> 33U;
    h *= 0xc4ceb9fe1a85ec53ULL;
    h ^= h >> 33U;
    return h;
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

// RFC 6265 5.2 reads values in quotes as they are; so do we. One without a value is passed over, in
// this field as in another: an HTTP/2 client may have cut one field into many.
std::string_view valueIn(std::string_view pairs, std::string_view name) {
    while (!pairs.empty()) {
        const size_t end = std::min(pairs.find(';'), pairs.size());
        const std::string_view pair = trimmed(pairs.substr(0, end));
        pairs.remove_prefix(std::min(end + 1, pairs.size()));
        if (pair.size() > name.size() + 1 && pair.starts_with(name) && pair[name.size()] == '=')
            return pair.substr(name.size() + 1);
    }
    return {};
}

}  // namespace

uint64_t hashOf(uint64_t number) {
    const uint64_t h = mix(number + 0x9e3779b97f4a7c15ULL);
    return h == 0 ? 1 : h;
}

uint64_t hashOf(std::string_view bytes, uint64_t seed) {
    uint64_t h = mix(seed ^ (bytes.size() * 0x9e3779b97f4a7c15ULL));
    while (!bytes.empty()) {
        uint64_t word = 0;
        const size_t n = std::min(bytes.size(), sizeof word);
        for (size_t i = 0; i < n; ++i)  // one load where the machine is little-endian
            word |= static_cast<uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
        h = mix(h ^ word) + 0x9e3779b97f4a7c15ULL;
        bytes.remove_prefix(n);
    }
    h = mix(h);
    return h == 0 ? 1 : h;
}

std::string_view cookieValue(const http::FieldList& fields, std::string_view name) {
    for (const http::Field& field : fields) {
        if (field.id != http::FieldId::cookie) continue;
        const std::string_view value = valueIn(field.value(), name);
        if (!value.empty()) return value;
    }
    return {};
}

}  // namespace regrow
