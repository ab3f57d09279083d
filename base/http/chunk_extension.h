#pragma once

#include <cstdint>

namespace regrow::http {

// What may stand between a chunk's size and its CRLF: *( BWS ";" BWS name [ BWS "=" BWS value ] ),
// a value being a token or a quoted string (RFC 9112 7.1.1). None is known here, so all are ignored
// as the RFC asks, but only well-formed ones: what two parsers could cut differently is refused.
class ChunkExtension {
  public:
    bool take(char c);  // false: it breaks the grammar
    // Whether the CRLF may come here.
    bool whole() const { return at_ == At::name || at_ == At::value || at_ == At::closed; }

  private:
    enum class At : uint8_t {
        blank,  // ";" has to come
        before_name,
        name,
        after_name,
        before_value,
        value,
        quoted,
        escaped,
        closed
    };
    At at_ = At::blank;
};

}  // namespace regrow::http
