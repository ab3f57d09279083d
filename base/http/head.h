#pragma once

#include <cstdint>
#include <string_view>

#include "base/http/field.h"

// What a parsed HTTP/1 head says. Filled by the parsers (parser.h), which decide framing,
// persistence and upgrade while they read, so that there is one place where a message gets its
// meaning. About 3.2 KiB: lend them from a pool. The views point into the buffer that was parsed
// (or to static text).
namespace regrow::http {

enum class Version : uint8_t { http10, http11, http2 };
std::string_view textOf(Version version);    // "HTTP/1.1"
std::string_view numberOf(Version version);  // "1.1", as Via has it
enum class Method : uint8_t { get, head, post, put, del, options, patch, connect, trace, other };

Method methodOf(std::string_view text);  // case-sensitive, as the standard has it
// RFC 9110 9.2.1: asks for no change.
bool isSafe(Method m);
// RFC 9110 9.2.2: doing it twice is doing it once; what a proxy may repeat without asking. Unknown
// methods are not.
bool isIdempotent(Method m);

// How the end of a body is found. `tunnel`: no HTTP any more, bytes both ways until close (after
// 101).
enum class BodyKind : uint8_t { none, length, chunked, until_close, tunnel };
struct Body {
    BodyKind kind = BodyKind::none;
    uint64_t length = 0;  // bytes, for `length`; never above kMaxBodyBytes
    friend bool operator==(const Body&, const Body&) = default;
};
inline constexpr uint64_t kMaxBodyBytes = INT64_MAX;

enum class TargetForm : uint8_t { origin, absolute, authority, asterisk };

struct RequestHead {
    Method method = Method::other;
    Version version = Version::http11;
    TargetForm form = TargetForm::origin;
    std::string_view method_text;
    std::string_view target;  // as sent
    std::string_view
        path;  // raw, starts with '/'; "*" for asterisk-form; empty for authority-form (CONNECT)
    std::string_view
        query;  // raw with its '?'; empty when there is none. path + query is what goes upstream
    // Host as sent, with port; empty only for HTTP/1.0 without Host. For absolute-form equal to the
    // target's authority.
    std::string_view authority;
    std::string_view host;  // authority without port, case as sent; "[::1]" keeps its brackets
    uint16_t port = 0;      // 0: none given

    Body body;                        // none, length or chunked
    bool has_content_length = false;  // also true for "Content-Length: 0"
    bool keep_alive = false;          // the client is willing to use the connection again
    bool expect_continue = false;     // "Expect: 100-continue" on HTTP/1.1
    bool te_trailers = false;         // "TE: trailers", named in Connection
    // The one protocol asked for by Upgrade and named in Connection, on HTTP/1.1 without a body;
    // else empty. h2c is never asked for: a backend that granted it would be spoken to past us.
    std::string_view upgrade;
    FieldList fields;

    void clear();  // cheap: does not touch the unused fields
    void rebase(const char* old_base, const char* new_base);
};

struct ResponseHead {
    uint16_t status = 0;  // 100..599
    Version version = Version::http11;
    std::string_view reason;  // may be empty

    bool has_content_length = false;
    uint64_t content_length = 0;
    bool chunked = false;
    bool keep_alive = false;   // the server is willing to use the connection again (and the body's
                               // end is not its close)
    std::string_view upgrade;  // what 101 changes to
    FieldList fields;

    bool interim() const { return status < 200 && status != 101; }
    // How the body after this head ends, given what was asked: none for HEAD, 1xx, 204 and 304;
    // tunnel for 101.
    Body bodyFor(Method request) const;

    void clear();
    void rebase(const char* old_base, const char* new_base);
};

}  // namespace regrow::http
