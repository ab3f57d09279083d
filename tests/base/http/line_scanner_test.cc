#include "base/http/line_scanner.h"

#include <catch2/catch.hpp>
#include <string>

using namespace regrow::http;

TEST_CASE("the first control byte is found at every place, for every byte", "[http]") {
    for (int c = 0; c < 256; ++c) {
        const bool control = (c < 0x20 && c != '\t') || c == 0x7f;
        for (size_t size = 1; size < 40; ++size)
            for (size_t at = 0; at < size; ++at) {
                std::string text(size, 'a');
                text[at] = static_cast<char>(c);
                const char* const end = text.data() + size;
                const char* const expected = control ? text.data() + at : end;
                if (findControl(text.data(), end) != expected)
                    FAIL("byte " << c << " at " << at << " of " << size);
            }
    }
}

TEST_CASE("lines come one by one and no byte is looked at twice", "[http]") {
    LineScanner scanner;
    std::string_view line;
    Flaw flaw = Flaw::none;
    CHECK(scanner.next("ab", line, flaw) == LineScanner::Found::need_more);
    CHECK(scanner.next("\n\nc\r", line, flaw) ==
          LineScanner::Found::need_more);  // the first two were seen
    CHECK(scanner.next("abc\r\n\r\n", line, flaw) == LineScanner::Found::line);
    CHECK(line == "abc");
    CHECK(scanner.next("abc\r\n\r\n", line, flaw) == LineScanner::Found::line);
    CHECK(line.empty());
    CHECK(scanner.position() == 7);
}
