#pragma once

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

// JSON through RapidJSON, with the two things it leaves to its user made safe: reading fields
// without asserting on a wrong type, and writing strings that may not be UTF-8 (file names; bad
// bytes come out as U+FFFD).
namespace regrow::json {

Result<rapidjson::Document> parse(std::string_view text);

// A field of an object, or nothing when absent or of another type. `object` may be any value.
std::optional<std::string> getString(const rapidjson::Value& object, const char* key);
std::optional<int64_t> getInt(const rapidjson::Value& object, const char* key);
std::optional<uint64_t> getUint(const rapidjson::Value& object, const char* key);
std::optional<double> getDouble(const rapidjson::Value& object, const char* key);
std::optional<bool> getBool(const rapidjson::Value& object, const char* key);
const rapidjson::Value* getObject(const rapidjson::Value& object, const char* key);
const rapidjson::Value* getArray(const rapidjson::Value& object, const char* key);

// A small writer that cannot produce an unbalanced document by typo in a key:
//   Writer w; w.beginObject().field("state",
//   "up").key("list").beginArray()….endArray().endObject(); w.text()
class Writer {
  public:
    Writer& beginObject();
    Writer& endObject();
    Writer& beginArray();
    Writer& endArray();
    Writer& key(std::string_view name);
    Writer& value(std::string_view text);
    Writer& value(const char* text) { return value(std::string_view(text)); }
    Writer& value(const std::string& text) { return value(std::string_view(text)); }
    Writer& value(bool b);
    Writer& value(int v) { return value(static_cast<int64_t>(v)); }
    Writer& value(unsigned v) { return value(static_cast<uint64_t>(v)); }
    Writer& value(int64_t v);
    Writer& value(uint64_t v);
    Writer& value(double v);  // rounded to six decimals; NaN and infinities become null
    Writer& null();
    template <class T>
    Writer& value(const std::optional<T>& v) {
        return v ? value(*v) : null();
    }
    template <class T>
    Writer& field(std::string_view name, const T& v) {
        key(name);
        return value(v);
    }
    // Takes ready JSON as it is.
    Writer& raw(std::string_view json);

    std::string text() const { return {buffer_.GetString(), buffer_.GetSize()}; }

  private:
    rapidjson::StringBuffer buffer_;
    rapidjson::Writer<rapidjson::StringBuffer> writer_{buffer_};
};

}  // namespace regrow::json
