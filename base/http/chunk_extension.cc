#include "base/http/chunk_extension.h"

#include "base/http/chars.h"

namespace regrow::http {
namespace {

bool blank(char c) {
    return c == ' ' || c == '\t';
}

// May stand in a quoted string, the backslash and the quote with another before them.
bool quotable(char c) {
    return c == '\t' || (static_cast<unsigned char>(c) >= ' ' && c != '\x7f');
}

}  // namespace

bool ChunkExtension::take(char c) {
    const auto to = [&](At next) {
        at_ = next;
        return true;
    };
    switch (at_) {
        case At::quoted:
            if (c == '"') return to(At::closed);
            return c == '\\' ? to(At::escaped) : quotable(c);
        case At::escaped: return quotable(c) && to(At::quoted);
        case At::before_name:
            if (blank(c)) return true;
            return is(c, kToken) && to(At::name);
        case At::before_value:
            if (blank(c)) return true;
            return c == '"' ? to(At::quoted) : is(c, kToken) && to(At::value);
        case At::name:
        case At::after_name:
            if (c == '=') return to(At::before_value);
            if (at_ == At::name && is(c, kToken)) return true;
            if (blank(c)) return to(At::after_name);
            return c == ';' && to(At::before_name);
        case At::value:
            if (is(c, kToken)) return true;
            [[fallthrough]];
        case At::closed:
        case At::blank:
            if (blank(c)) return to(At::blank);
            return c == ';' && to(At::before_name);
    }
    return false;
}

}  // namespace regrow::http
