#pragma once

#include <string>
#include <string_view>
#include <thread>

#include "tests/support/proxy_under_test.h"

// What the targets that speak HTTP/2 to a whole proxy have in common.
namespace regrow::test {

// Records: type, flags, stream, two bytes of length, payload. They become frames of the right
// length, so that what changes in one leaves the others whole.
inline std::string framesOf(std::string_view records) {
    std::string out;
    while (records.size() >= 5) {
        const auto byte = [&](size_t i) { return static_cast<unsigned char>(records[i]); };
        const size_t wanted = size_t{byte(3)} << 8U | byte(4);
        const std::string_view payload = records.substr(5, wanted);
        const char head[9] = {0,
                              static_cast<char>(payload.size() >> 8U),
                              static_cast<char>(payload.size()),
                              records[0],
                              records[1],
                              0,
                              0,
                              0,
                              records[2]};
        out.append(head, sizeof head).append(payload);
        records.remove_prefix(5 + payload.size());
    }
    return out;
}

// What an input says after the peer's first SETTINGS: bytes as they are, or (first byte odd)
// records.
inline std::string saidBy(const uint8_t* data, size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
    return (data[0] & 1) != 0 ? framesOf(input) : std::string(input);
}

// Thousands a second may use up the ports that closed connections give back after a minute.
inline Peer connected(ProxyUnderTest& proxy) {
    for (int tries = 0;; ++tries) try {
            return proxy.connect();
        } catch (const std::runtime_error&) {
            if (tries == 700) throw;
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
        }
}

}  // namespace regrow::test
