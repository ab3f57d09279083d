#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

// Fields of an HTTP message as views into the bytes they arrived in. Values, any thread; a field
// lives as long as the buffer it points into, and moves with it by FieldList::rebase().
namespace regrow::http {

// Names the proxy itself has something to do with. Recognised once, while parsing, so that nobody
// compares names again.
enum class FieldId : uint8_t {
    other,
    // What belongs to one connection only and never travels on.
    connection,
    keep_alive,
    proxy_connection,
    proxy_authenticate,
    proxy_authorization,
    te,
    transfer_encoding,
    upgrade,
    http2_settings,
    // What frames, routes or describes the message: Connection can never take these away.
    host,
    content_length,
    expect,
    trailer,
    max_forwards,
    authorization,
    cookie,
    set_cookie,
    cache_control,
    content_type,
    content_encoding,
    content_range,
    date,
    retry_after,
    range,
    // What proxies say to servers.
    via,
    forwarded,
    x_forwarded_for,
    x_forwarded_proto,
    x_forwarded_host,
    x_forwarded_other,
    x_real_ip,
    client_cert,  // Client-Cert (RFC 9440), Client-Cert-Chain, X-Client-Cert-*
    proxy,        // "Proxy:" becomes HTTP_PROXY in CGI programs (httpoxy); never legitimate
};

// Case-insensitive. Names that start with "x-forwarded-" and have no id of their own are
// x_forwarded_other; those that start with "x-client-cert-" are client_cert.
FieldId fieldIdOf(std::string_view name);

// 24 bytes, so that a head's list stays at 3 KiB.
struct Field {
    const char* name_data = nullptr;
    const char* value_data = nullptr;
    uint32_t value_size = 0;
    uint16_t name_size = 0;
    FieldId id = FieldId::other;
    // Must not travel on: hop-by-hop by nature, named by Connection, or a name with '_' that a
    // CGI-style server would confuse with one the proxy vouches for (X_Forwarded_For).
    bool drop = false;

    std::string_view name() const { return {name_data, name_size}; }
    std::string_view value() const {
        return {value_data, value_size};
    }  // without surrounding blanks
};

// Up to 128 fields in the order received, no allocation.
class FieldList {
  public:
    static constexpr size_t kCapacity = 128;

    bool add(const Field& field);  // false: full
    void clear() { size_ = 0; }
    size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    const Field* begin() const { return fields_.data(); }
    const Field* end() const { return fields_.data() + size_; }
    Field* begin() { return fields_.data(); }
    Field* end() { return fields_.data() + size_; }
    const Field& operator[](size_t i) const { return fields_[i]; }

    // The first of that name, or nullptr.
    const Field* find(FieldId id) const;
    const Field* find(std::string_view name) const;  // case-insensitive; linear

    // The bytes moved from `old_base` to `new_base` (memmove, realloc or a copy); the views follow.
    void rebase(const char* old_base, const char* new_base);

  private:
    std::array<Field, kCapacity> fields_;
    size_t size_ = 0;
};

}  // namespace regrow::http
