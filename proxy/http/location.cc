#include "proxy/http/location.h"

namespace regrow::proxy {

using Kind = http::RedirectPiece::Kind;

// The parser let only URL characters into these, so no byte of a request can end the field.
bool Location::write(HeadWriter& out, const Request& request) const {
    for (const http::RedirectPiece& piece : pieces_) {
        switch (piece.kind) {
            case Kind::text: out.add(piece.text); break;
            case Kind::scheme: out.add(request.scheme); break;
            case Kind::host:
                if (request.host.empty()) return false;
                out.add(request.host);
                break;
            case Kind::path: out.add(request.path); break;
            case Kind::rest: out.add(request.rest); break;
            case Kind::query: out.add(request.query); break;
        }
    }
    return true;
}

}  // namespace regrow::proxy
