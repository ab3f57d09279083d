#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/http/redirect_template.h"
#include "proxy/http/head_writer.h"

namespace regrow::proxy {

// Where a redirect leads, written out for one request. Immutable, shared.
class Location {
  public:
    struct Request {
        std::string_view scheme, host, path, rest, query;
    };
    explicit Location(std::vector<http::RedirectPiece> pieces) : pieces_(std::move(pieces)) {}

    // False: it names the request's host, and there is none (HTTP/1.0).
    bool write(HeadWriter& out, const Request& request) const;

  private:
    std::vector<http::RedirectPiece> pieces_;
};

}  // namespace regrow::proxy
