#include "base/json.h"

#include <rapidjson/error/en.h>

#include <cmath>

namespace regrow::json {
namespace {

const rapidjson::Value* find(const rapidjson::Value& object, const char* key) {
    if (!object.IsObject()) return nullptr;
    const auto it = object.FindMember(key);
    return it == object.MemberEnd() ? nullptr : &it->value;
}

// Length of the valid UTF-8 sequence at the start of `s`, or 0 (RFC 3629: no overlong forms, no
// surrogates).
size_t sequenceLength(std::string_view s) {
    const auto b = [&](size_t i) { return static_cast<unsigned char>(s[i]); };
    const auto continues = [&](size_t n) {
        for (size_t i = 1; i < n; ++i)
            if (i >= s.size() || (b(i) & 0xc0) != 0x80) return false;
        return true;
    };
    if (b(0) < 0x80) return 1;
    if (b(0) >= 0xc2 && b(0) <= 0xdf) return continues(2) ? 2 : 0;
    if (b(0) >= 0xe0 && b(0) <= 0xef) {
        if (!continues(3) || (b(0) == 0xe0 && b(1) < 0xa0) || (b(0) == 0xed && b(1) > 0x9f))
            return 0;
        return 3;
    }
    if (b(0) >= 0xf0 && b(0) <= 0xf4) {
        if (!continues(4) || (b(0) == 0xf0 && b(1) < 0x90) || (b(0) == 0xf4 && b(1) > 0x8f))
            return 0;
        return 4;
    }
    return 0;
}

std::string toValidUtf8(std::string_view s) {
    std::string out;
    out.reserve(s.size());
    while (!s.empty()) {
        const size_t n = sequenceLength(s);
        out.append(n ? s.substr(0, n) : "\xef\xbf\xbd");
        s.remove_prefix(n ? n : 1);
    }
    return out;
}

}  // namespace

Result<rapidjson::Document> parse(std::string_view text) {
    rapidjson::Document document;
    // RapidJSON takes a zero byte for the end and would not look at what follows.
    if (const auto zero = text.find('\0'); zero != std::string_view::npos)
        return fail(Code::invalid, Source::us, "JSON: a zero byte at byte " + std::to_string(zero));
    // Iterative: a deeply nested document must not exhaust the stack.
    document.Parse<rapidjson::kParseValidateEncodingFlag | rapidjson::kParseIterativeFlag>(
        text.data(), text.size());
    if (document.HasParseError())
        return fail(Code::invalid, Source::us,
                    std::string("JSON: ") + rapidjson::GetParseError_En(document.GetParseError()) +
                        " at byte " + std::to_string(document.GetErrorOffset()));
    return document;
}

std::optional<std::string> getString(const rapidjson::Value& object, const char* key) {
    const auto* v = find(object, key);
    if (!v || !v->IsString()) return std::nullopt;
    return std::string(v->GetString(), v->GetStringLength());
}
std::optional<int64_t> getInt(const rapidjson::Value& object, const char* key) {
    const auto* v = find(object, key);
    if (!v || !v->IsInt64()) return std::nullopt;
    return v->GetInt64();
}
std::optional<uint64_t> getUint(const rapidjson::Value& object, const char* key) {
    const auto* v = find(object, key);
    if (!v || !v->IsUint64()) return std::nullopt;
    return v->GetUint64();
}
std::optional<double> getDouble(const rapidjson::Value& object, const char* key) {
    const auto* v = find(object, key);
    if (!v || !v->IsNumber()) return std::nullopt;
    return v->GetDouble();
}
std::optional<bool> getBool(const rapidjson::Value& object, const char* key) {
    const auto* v = find(object, key);
    if (!v || !v->IsBool()) return std::nullopt;
    return v->GetBool();
}
const rapidjson::Value* getObject(const rapidjson::Value& object, const char* key) {
    const auto* v = find(object, key);
    return v && v->IsObject() ? v : nullptr;
}
const rapidjson::Value* getArray(const rapidjson::Value& object, const char* key) {
    const auto* v = find(object, key);
    return v && v->IsArray() ? v : nullptr;
}

Writer& Writer::beginObject() {
    return writer_.StartObject(), *this;
}
Writer& Writer::endObject() {
    return writer_.EndObject(), *this;
}
Writer& Writer::beginArray() {
    return writer_.StartArray(), *this;
}
Writer& Writer::endArray() {
    return writer_.EndArray(), *this;
}
Writer& Writer::key(std::string_view name) {
    const std::string valid = toValidUtf8(name);
    writer_.Key(valid.data(), static_cast<rapidjson::SizeType>(valid.size()));
    return *this;
}
Writer& Writer::value(std::string_view text) {
    const std::string valid = toValidUtf8(text);
    writer_.String(valid.data(), static_cast<rapidjson::SizeType>(valid.size()));
    return *this;
}
Writer& Writer::value(bool b) {
    return writer_.Bool(b), *this;
}
Writer& Writer::value(int64_t v) {
    return writer_.Int64(v), *this;
}
Writer& Writer::value(uint64_t v) {
    return writer_.Uint64(v), *this;
}
Writer& Writer::value(double v) {
    if (!std::isfinite(v)) return null();
    writer_.Double(std::abs(v) < 1e9 ? std::round(v * 1e6) / 1e6
                                     : v);  // larger ones have no such digits, and could overflow
    return *this;
}
Writer& Writer::null() {
    return writer_.Null(), *this;
}
Writer& Writer::raw(std::string_view json) {
    writer_.RawValue(json.data(), json.size(), rapidjson::kObjectType);
    return *this;
}

}  // namespace regrow::json
