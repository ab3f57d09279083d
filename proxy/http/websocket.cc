#include "proxy/http/websocket.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <cstdint>
#include <cstdlib>

namespace regrow::proxy {

std::array<char, kWebSocketKeySize + 1> newWebSocketKey() {
    std::array<uint8_t, 16> random{};
    if (RAND_bytes(random.data(), static_cast<int>(random.size())) != 1) std::abort();
    std::array<char, kWebSocketKeySize + 1> key{};
    EVP_EncodeBlock(reinterpret_cast<uint8_t*>(key.data()), random.data(),
                    static_cast<int>(random.size()));
    return key;
}

std::string webSocketAccept(std::string_view key) {
    const std::string text = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    std::array<uint8_t, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr);
    std::array<char, 40> encoded{};
    EVP_EncodeBlock(reinterpret_cast<uint8_t*>(encoded.data()), digest.data(),
                    static_cast<int>(size));
    return encoded.data();
}

}  // namespace regrow::proxy
