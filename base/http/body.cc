#include "base/http/body.h"

#include <algorithm>

#include "base/http/chars.h"
#include "base/http/lines.h"

namespace regrow::http {
namespace {

constexpr int kMaxSizeDigits = 16;

// Framing and routing cannot come after the fact (RFC 9110 6.5.1).
bool allowedInTrailer(FieldId id) {
    return id != FieldId::content_length && id != FieldId::transfer_encoding && id != FieldId::host;
}

Flaw checkTrailerLine(std::string_view line) {
    FieldList field;
    const Flaw flaw = readFieldLine(line, field, HeadLimits{});
    return flaw == Flaw::none && allowedInTrailer(field[0].id) ? Flaw::none : Flaw::bad_trailer;
}

}  // namespace

BodyDecoder::BodyDecoder(Body body) : remaining_(body.length) {
    switch (body.kind) {
        case BodyKind::none: state_ = State::done; break;
        case BodyKind::length: state_ = body.length == 0 ? State::done : State::counted; break;
        case BodyKind::chunked: state_ = State::size; break;
        case BodyKind::until_close:
        case BodyKind::tunnel: state_ = State::endless; break;
    }
    if (body.kind == BodyKind::chunked) remaining_ = 0;
}

bool BodyDecoder::finishedByClose() const {
    return state_ == State::done || state_ == State::endless;
}

uint64_t BodyDecoder::contiguous() const {
    if (state_ == State::endless) return UINT64_MAX;
    return state_ == State::counted || state_ == State::chunk ? remaining_ : 0;
}

void BodyDecoder::skip(uint64_t bytes) {
    if (state_ == State::endless) return;
    remaining_ -= bytes;
    if (remaining_ != 0) return;
    if (state_ == State::counted) state_ = State::done;
    if (state_ == State::chunk) state_ = State::chunk_cr;
}

BodyStep BodyDecoder::refuse(Flaw flaw) {
    state_ = State::failed;
    flaw_ = flaw;
    BodyStep step;
    step.kind = BodyStep::Kind::error;
    step.flaw = flaw;
    return step;
}

BodyStep BodyDecoder::next(std::string_view input) {
    size_t framing = 0;
    while (true) {
        switch (state_) {
            case State::done: return {BodyStep::Kind::done, Flaw::none, framing, {}, {}};
            case State::failed: return refuse(flaw_);
            case State::trailers: return takeTrailers(input, framing);
            case State::counted:
            case State::endless:
            case State::chunk: return takePayload(input, framing);
            default: break;
        }
        if (framing == input.size())
            return {BodyStep::Kind::need_more, Flaw::none, framing, {}, {}};
        if (const Flaw flaw = takeFramingByte(input[framing]); flaw != Flaw::none)
            return refuse(flaw);
        ++framing;
    }
}

BodyStep BodyDecoder::takePayload(std::string_view input, size_t framing) {
    const std::string_view payload = input.substr(framing, contiguous());
    skip(payload.size());
    const auto kind = payload.empty() ? BodyStep::Kind::need_more : BodyStep::Kind::payload;
    return {kind, Flaw::none, framing + payload.size(), payload, {}};
}

Flaw BodyDecoder::takeFramingByte(char c) {
    switch (state_) {
        case State::size: return takeSizeByte(c);
        case State::extension: return takeExtensionByte(c);
        case State::size_lf:
            if (c != '\n') return Flaw::bad_chunk_size;
            state_ = remaining_ == 0 ? State::trailers : State::chunk;
            digits_ = 0;
            extensions_ -= static_cast<uint16_t>(std::min<uint64_t>(extensions_, remaining_));
            return Flaw::none;
        case State::chunk_cr:
            state_ = State::chunk_lf;
            return c == '\r' ? Flaw::none : Flaw::bad_chunk_end;
        default: state_ = State::size; return c == '\n' ? Flaw::none : Flaw::bad_chunk_end;
    }
}

Flaw BodyDecoder::takeSizeByte(char c) {
    if (const int digit = hexValue(c); digit >= 0) {
        if (++digits_ > kMaxSizeDigits || remaining_ > kMaxBodyBytes >> 4)
            return Flaw::chunk_too_large;
        remaining_ = remaining_ << 4 | static_cast<uint64_t>(digit);
        return Flaw::none;
    }
    if (digits_ == 0) return Flaw::bad_chunk_size;
    if (c == ';' || c == ' ' || c == '\t') {
        extension_ = {};
        state_ = State::extension;
        return takeExtensionByte(c);
    }
    state_ = State::size_lf;
    return c == '\r' ? Flaw::none : Flaw::bad_chunk_size;
}

Flaw BodyDecoder::takeExtensionByte(char c) {
    if (c == '\r' && extension_.whole()) {
        state_ = State::size_lf;
        return Flaw::none;
    }
    const bool good = extensions_++ < kMaxExtensionBytes && extension_.take(c);
    return good ? Flaw::none : Flaw::bad_chunk_extension;
}

// The section is read as one piece: what is incomplete stays with the caller.
BodyStep BodyDecoder::takeTrailers(std::string_view input, size_t framing) {
    const std::string_view section = input.substr(framing);
    while (true) {
        std::string_view line;
        Flaw flaw = Flaw::none;
        const uint32_t before = scanner_.position();
        const auto found = scanner_.next(section.substr(0, kMaxTrailerBytes), line, flaw);
        if (found == LineScanner::Found::flaw) return refuse(flaw);
        if (found == LineScanner::Found::need_more) {
            if (section.size() >= kMaxTrailerBytes) return refuse(Flaw::trailers_too_large);
            return {BodyStep::Kind::need_more, Flaw::none, framing, {}, {}};
        }
        if (line.empty()) {
            state_ = State::done;
            return {BodyStep::Kind::done,
                    Flaw::none,
                    framing + scanner_.position(),
                    {},
                    section.substr(0, before)};
        }
        if (++trailers_ > FieldList::kCapacity) return refuse(Flaw::trailers_too_large);
        if (flaw = checkTrailerLine(line); flaw != Flaw::none) return refuse(flaw);
    }
}

}  // namespace regrow::http
