#include "base/http/line_scanner.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <bit>

namespace regrow::http {
namespace {

constexpr bool isControl(char c) {
    const auto u = static_cast<unsigned char>(c);
    return (u < 0x20 && u != '\t') || u == 0x7f;
}

#ifdef __SSE2__
// Bit i is set when byte i is a control byte. 16 at a time; every x86-64 has SSE2.
unsigned controlBits(const char* at) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
    const __m128i tab = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\t'));
    const __m128i del = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f));
    return static_cast<unsigned>(_mm_movemask_epi8(_mm_or_si128(_mm_andnot_si128(tab, low), del)));
}
#endif

}  // namespace

const char* findControl(const char* begin, const char* end) {
#ifdef __SSE2__
    for (; end - begin >= 16; begin += 16)
        if (const unsigned bits = controlBits(begin)) return begin + std::countr_zero(bits);
#endif
    while (begin != end && !isControl(*begin)) ++begin;
    return begin;
}

LineScanner::Found LineScanner::next(std::string_view input, std::string_view& line, Flaw& flaw) {
    const char* const begin = input.data();
    const char* const end = begin + input.size();
    const char* const at = findControl(begin + scanned_, end);
    scanned_ = static_cast<uint32_t>(at - begin);
    if (at == end) return Found::need_more;
    if (*at != '\r') {
        flaw = *at == '\n' ? Flaw::bare_lf : Flaw::control_byte;
        return Found::flaw;
    }
    if (at + 1 == end) return Found::need_more;
    if (at[1] != '\n') {
        flaw = Flaw::bare_cr;
        return Found::flaw;
    }
    line = input.substr(line_start_, scanned_ - line_start_);
    line_start_ = scanned_ += 2;
    return Found::line;
}

}  // namespace regrow::http
