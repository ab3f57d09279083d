#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "base/clock.h"
#include "base/json.h"

// Values to JSON and back with each field named once: a `fields(visitor, value)` function calls the
// visitor with (key, member) for every member, and the same list writes and reads. Instants are
// kept relative to `now` (the monotonic clock starts anew with the machine), all times in
// nanoseconds. A field that is absent keeps its default, so that an older journal can be read; one
// of a wrong type is an error that names it.
namespace regrow::recovery {

template <class T>
concept Word = std::is_enum_v<T>;  // has name(T) and wordFrom(text, T&)
template <class T>
concept Integer = std::is_integral_v<T> && !std::is_same_v<T, bool>;

inline int64_t nanoseconds(Duration d) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(d).count();
}
inline Duration fromNanoseconds(int64_t n) {
    return std::chrono::duration_cast<Duration>(std::chrono::nanoseconds(n));
}

class FieldWriter {
  public:
    FieldWriter(json::Writer& writer, Instant now) : writer_(writer), now_(now) {}

    template <class T>
    void operator()(const char* key, const T& value) {
        writer_.key(key);
        put(value);
    }
    void put(const std::string& v) { writer_.value(v); }
    void put(bool v) { writer_.value(v); }
    void put(double v) { writer_.value(v); }
    template <Integer T>
    void put(T v) {
        if constexpr (std::is_signed_v<T>)
            writer_.value(static_cast<int64_t>(v));
        else
            writer_.value(static_cast<uint64_t>(v));
    }
    template <Word T>
    void put(T v) {
        writer_.value(name(v));
    }
    void put(Duration v) { writer_.value(nanoseconds(v)); }
    void put(Instant v) { writer_.value(nanoseconds(v - now_)); }
    void put(WallTime v) { writer_.value(nanoseconds(v.time_since_epoch())); }
    template <class T>
    void put(const std::optional<T>& v) {
        if (v)
            put(*v);
        else
            writer_.null();
    }
    template <class T>
    void put(const std::vector<T>& all) {
        list(all);
    }
    template <class T>
    void put(const std::deque<T>& all) {
        list(all);
    }
    template <class T>
        requires std::is_class_v<T>
    void put(const T& v) {
        writer_.beginObject();
        fields(*this, v);
        writer_.endObject();
    }

  private:
    template <class Range>
    void list(const Range& all) {
        writer_.beginArray();
        for (const auto& one : all) put(one);
        writer_.endArray();
    }

    json::Writer& writer_;
    Instant now_;
};

class FieldReader {
  public:
    FieldReader(const rapidjson::Value& object, Instant now) : object_(&object), now_(now) {}

    // The first field that could not be read; empty when all is well.
    const std::string& wrong() const { return wrong_; }
    bool has(const char* key) const { return object_->IsObject() && object_->HasMember(key); }

    template <class T>
    void operator()(const char* key, T& value) {
        if (!has(key) || !wrong_.empty()) return;
        if (!get((*object_)[key], value))
            wrong_ = wrong_.empty() ? key : fmt::format("{}.{}", key, wrong_);
    }

  private:
    using Json = rapidjson::Value;
    static bool get(const Json& j, std::string& v) {
        if (!j.IsString()) return false;
        v.assign(j.GetString(), j.GetStringLength());
        return true;
    }
    static bool get(const Json& j, bool& v) { return j.IsBool() && (v = j.GetBool(), true); }
    static bool get(const Json& j, double& v) { return j.IsNumber() && (v = j.GetDouble(), true); }
    template <Integer T>
    static bool get(const Json& j, T& v) {
        if constexpr (std::is_signed_v<T>) {
            if (!j.IsInt64()) return false;
            v = static_cast<T>(j.GetInt64());
            return v == j.GetInt64();
        } else {
            if (!j.IsUint64()) return false;
            v = static_cast<T>(j.GetUint64());
            return v == j.GetUint64();
        }
    }
    template <Word T>
    static bool get(const Json& j, T& v) {
        return j.IsString() && wordFrom({j.GetString(), j.GetStringLength()}, v);
    }
    static bool get(const Json& j, Duration& v) {
        if (!j.IsInt64()) return false;
        v = fromNanoseconds(j.GetInt64());
        return true;
    }
    // Refuses what would overflow: a journal is input like any other.
    bool get(const Json& j, Instant& v) {
        constexpr int64_t kTooFar = int64_t{1} << 61;
        if (!j.IsInt64() || j.GetInt64() > kTooFar || j.GetInt64() < -kTooFar) return false;
        v = now_ + fromNanoseconds(j.GetInt64());
        return true;
    }
    static bool get(const Json& j, WallTime& v) {
        if (!j.IsInt64()) return false;
        v = WallTime(
            std::chrono::duration_cast<Wall::duration>(std::chrono::nanoseconds(j.GetInt64())));
        return true;
    }
    template <class T>
    bool get(const Json& j, std::optional<T>& v) {
        v.reset();
        if (j.IsNull()) return true;
        return get(j, v.emplace());
    }
    template <class T>
    bool get(const Json& j, std::vector<T>& all) {
        return list(j, all);
    }
    template <class T>
    bool get(const Json& j, std::deque<T>& all) {
        return list(j, all);
    }
    template <class T>
        requires std::is_class_v<T>
    bool get(const Json& j, T& v) {
        if (!j.IsObject()) return false;
        FieldReader inner(j, now_);
        fields(inner, v);
        wrong_ = inner.wrong();
        return wrong_.empty();
    }
    template <class Range>
    bool list(const Json& j, Range& all) {
        if (!j.IsArray()) return false;
        all.clear();
        for (const auto& one : j.GetArray())
            if (!get(one, all.emplace_back())) return false;
        return true;
    }

    const rapidjson::Value* object_;
    Instant now_;
    std::string wrong_;
};

// The whole of a value whose `fields` is visible.
template <class T>
std::string fieldsToJson(const T& value, Instant now) {
    json::Writer writer;
    FieldWriter(writer, now).put(value);
    return writer.text();
}
template <class T>
Result<T> fieldsFromJson(const rapidjson::Value& object, Instant now, std::string_view what) {
    if (!object.IsObject())
        return fail(Code::corrupt, Source::disk, fmt::format("{}: not an object", what));
    T value;
    FieldReader reader(object, now);
    fields(reader, value);
    if (!reader.wrong().empty())
        return fail(Code::corrupt, Source::disk,
                    fmt::format("{}: field {} is not what it must be", what, reader.wrong()));
    return value;
}

}  // namespace regrow::recovery
