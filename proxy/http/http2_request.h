#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "base/http/head.h"
#include "base/http/parser.h"

namespace regrow::proxy {

// Gathers one decoded HTTP/2 header block (RFC 9113 8.3) into a RequestHead, by the same rules as
// an HTTP/1 head: the same targets, hosts, lengths and limits are refused. Copies names and values
// into memory that somebody else owns, where the head's views then point. The library below has
// checked that names and values are well formed, and pseudo-fields complete, in front and not
// repeated; an extended CONNECT for a WebSocket (RFC 8441) becomes the upgrade it means in HTTP/1.
// Pure; one block at a time.
class Http2Request {
  public:
    // `head` is filled; `memory` stays until it is used no more.
    void begin(char* memory, size_t capacity, http::RequestHead& head);
    // The first flaw is kept, what follows is ignored.
    void add(std::string_view name, std::string_view value);
    // `ended`: no body follows. `websocket_key`: 24 characters for Sec-WebSocket-Key, used for an
    // extended CONNECT. The head is good when the flaw is none.
    http::Flaw finish(bool ended, std::string_view websocket_key);

    bool extendedConnect() const { return !protocol_.empty(); }
    std::string_view protocol() const { return protocol_; }

  private:
    std::string_view keep(std::string_view text);
    void addPseudo(std::string_view name, std::string_view value);
    void addKept(std::string_view name, std::string_view value);
    void joinCookies();
    void readFirstLine();
    void readWhere();
    void note(http::Flaw flaw) {
        if (flaw_ == http::Flaw::none) flaw_ = flaw;
    }

    char* at_ = nullptr;
    char* end_ = nullptr;
    http::RequestHead* head_ = nullptr;
    std::string_view authority_;
    std::string_view protocol_;
    std::array<std::string_view, 64> cookies_;
    size_t cookie_count_ = 0;
    http::HeadLimits limits_;
    http::Flaw flaw_ = http::Flaw::none;
};

}  // namespace regrow::proxy
