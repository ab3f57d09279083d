#pragma once

#include <cstddef>
#include <string_view>

#include "base/http/head.h"
#include "base/http/parser.h"

namespace regrow::proxy {

// Gathers one decoded header block of a backend's answer (RFC 9113 8.3.2) into a ResponseHead, by
// the same rules as an HTTP/1 head. As Http2Request does for the other side: copies into memory
// that somebody else owns; the library below has checked what a block must look like. Pure; one
// block at a time.
class Http2Response {
  public:
    // `head` is filled; `memory` stays until it is used no more.
    void begin(char* memory, size_t capacity, http::ResponseHead& head);
    // The first flaw is kept, what follows is ignored.
    void add(std::string_view name, std::string_view value);
    // The head is good when the flaw is none.
    http::Flaw finish();

  private:
    std::string_view keep(std::string_view text);
    void note(http::Flaw flaw) {
        if (flaw_ == http::Flaw::none) flaw_ = flaw;
    }

    char* at_ = nullptr;
    char* end_ = nullptr;
    http::ResponseHead* head_ = nullptr;
    http::HeadLimits limits_;
    http::Flaw flaw_ = http::Flaw::none;
};

}  // namespace regrow::proxy
