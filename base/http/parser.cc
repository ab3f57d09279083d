#include "base/http/parser.h"

#include <algorithm>

#include "base/http/lines.h"
#include "base/http/meaning.h"

namespace regrow::http {
namespace {

struct Line {
    LineScanner::Found found = LineScanner::Found::need_more;
    std::string_view text;
    Flaw flaw = Flaw::none;
};

// A line that is not complete within the limit never will be.
Line nextLine(LineScanner& scanner, std::string_view input, const HeadLimits& limits) {
    Line line;
    line.found = scanner.next(input.substr(0, limits.head_bytes), line.text, line.flaw);
    if (line.found == LineScanner::Found::need_more && input.size() >= limits.head_bytes) {
        line.found = LineScanner::Found::flaw;
        line.flaw = Flaw::head_too_large;
    }
    return line;
}

ParseResult refuse(Flaw flaw) {
    return {Outcome::error, flaw, 0};
}

template <class Head>
void follow(const char*& base, std::string_view input, Head& head) {
    if (base == nullptr) {
        head.clear();
    } else if (base != input.data()) {
        head.rebase(base, input.data());
    }
    base = input.data();
}

// The lines after the first. `settle` gives the complete head its meaning.
template <class Head>
ParseResult readFields(LineScanner& scanner, std::string_view input, Head& head,
                       const HeadLimits& limits, Flaw (*settle)(Head&)) {
    while (true) {
        const Line line = nextLine(scanner, input, limits);
        if (line.found == LineScanner::Found::need_more) return {};
        if (line.found == LineScanner::Found::flaw) return refuse(line.flaw);
        if (line.text.empty()) break;
        const Flaw flaw = readFieldLine(line.text, head.fields, limits);
        if (flaw != Flaw::none) return refuse(flaw);
    }
    const Flaw flaw = settle(head);
    if (flaw != Flaw::none) return refuse(flaw);
    return {Outcome::done, Flaw::none, scanner.position()};
}

// Of a first line that has not ended and can no longer become a good one: the target's length has a
// status of its own.
Flaw tooLong(std::string_view line, const HeadLimits& limits) {
    const size_t method = line.find(' ');
    if (method > limits.method_bytes) return Flaw::method_too_long;
    const std::string_view target = line.substr(method + 1);
    return std::min(target.find(' '), target.size()) > limits.target_bytes ? Flaw::target_too_long
                                                                           : Flaw::none;
}

}  // namespace

ParseResult RequestParser::parse(std::string_view input, RequestHead& head,
                                 const HeadLimits& limits) {
    follow(base_, input, head);
    if (!have_first_line_) {
        Line line = nextLine(scanner_, input, limits);
        // One empty line is left over by old clients after a body (RFC 9112 2.2).
        if (line.found == LineScanner::Found::line && line.text.empty() && scanner_.position() == 2)
            line = nextLine(scanner_, input, limits);
        const bool whole = line.found == LineScanner::Found::line;
        if (!whole && input.size() > limits.target_bytes + size_t{limits.method_bytes})
            if (const Flaw flaw = tooLong(input.substr(scanner_.position()), limits);
                flaw != Flaw::none)
                return refuse(flaw);
        if (line.found == LineScanner::Found::need_more) return {};
        const Flaw flaw = whole ? readRequestLine(line.text, head, limits) : line.flaw;
        if (flaw != Flaw::none) return refuse(flaw);
        have_first_line_ = true;
    }
    return readFields(scanner_, input, head, limits, settleRequest);
}

ParseResult ResponseParser::parse(std::string_view input, ResponseHead& head,
                                  const HeadLimits& limits) {
    follow(base_, input, head);
    if (!have_first_line_) {
        const Line line = nextLine(scanner_, input, limits);
        if (line.found == LineScanner::Found::need_more) return {};
        if (line.found == LineScanner::Found::flaw) return refuse(line.flaw);
        const Flaw flaw = readStatusLine(line.text, head);
        if (flaw != Flaw::none) return refuse(flaw);
        have_first_line_ = true;
    }
    return readFields(scanner_, input, head, limits, settleResponse);
}

}  // namespace regrow::http
