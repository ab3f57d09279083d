#include <array>
#include <cstdlib>
#include <string>
#include <vector>

#include "proxy/balance/affinity.h"
#include "proxy/balance/request_key.h"
#include "proxy/http/http2_request.h"

// Lines of Cookie fields. A value is found where a plain second reading of RFC 6265 finds it;
// cookies that an HTTP/2 client cut into pieces mean what they meant in fields of their own; and no
// value but a token that was given out names a backend.
namespace {

using namespace regrow;

constexpr std::array<std::string_view, 4> kNames = {"regrow", "a", "regrow-", "session id"};

void require(bool condition) {
    if (!condition) std::abort();
}

std::string trimmed(const std::string& text) {
    const size_t begin = text.find_first_not_of(" \t");
    if (begin == std::string::npos) return "";
    return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

// The first pair of that name that has a value.
std::string plainReading(const std::vector<std::string>& lines, const std::string& name) {
    for (const std::string& line : lines)
        for (size_t at = 0; at <= line.size();) {
            const size_t end = std::min(line.find(';', at), line.size());
            const std::string pair = trimmed(line.substr(at, end - at));
            at = end + 1;
            const size_t equals = pair.find('=');
            if (equals == std::string::npos || equals + 1 == pair.size()) continue;
            if (pair.substr(0, equals) == name) return pair.substr(equals + 1);
        }
    return "";
}

const Affinity& affinity() {
    static const std::array<Affinity::Backend, 3> backends = {
        {{"wiki-1", 4}, {"wiki-2", 5}, {"wiki-3", 9}}};
    static const Affinity made("regrow", "the key of this installation", "wiki", backends);
    return made;
}

void checkToken(std::string_view value) {
    bool given_out = false;
    for (uint32_t slot = 0; slot < 12; ++slot) {
        const std::string_view set = affinity().setCookie(slot, true);
        given_out = given_out || (!set.empty() && set.substr(7, set.find(';') - 7) == value);
    }
    const auto place = affinity().find(value);
    require(place.has_value() == given_out);
    if (place) require(place->slot == 4 || place->slot == 5 || place->slot == 9);
}

bool mayStand(const std::string& value) {
    for (const char c : value)
        if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f) return false;
    return true;
}

// As fields of a head of HTTP/1: each line is one.
http::FieldList fieldsOf(const std::vector<std::string>& lines) {
    http::FieldList fields;
    for (const std::string& line : lines) {
        http::Field field;
        field.name_data = "cookie", field.name_size = 6;
        field.value_data = line.data(), field.value_size = static_cast<uint32_t>(line.size());
        field.id = http::FieldId::cookie;
        fields.add(field);
    }
    return fields;
}

void checkCrumbs(const std::vector<std::string>& lines, std::string_view name,
                 std::string_view value) {
    std::vector<char> memory(64 * 1024);
    http::RequestHead head;
    proxy::Http2Request request;
    request.begin(memory.data(), memory.size(), head);
    request.add(":method", "GET");
    request.add(":path", "/");
    request.add(":authority", "a");
    for (const std::string& line : lines) request.add("cookie", line);
    if (request.finish(true, {}) != http::Flaw::none) return require(lines.size() > 64);
    require(cookieValue(head.fields, name) == value);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0 || size > 8192) return 0;
    const std::string_view name = kNames[data[0] % kNames.size()];
    std::vector<std::string> lines;
    std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
    while (!rest.empty() && lines.size() < 100) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(rest.size(), line.size() + 1));
        std::string value = trimmed(std::string(line));
        if (mayStand(value)) lines.push_back(std::move(value));
    }
    const http::FieldList fields = fieldsOf(lines);
    const std::string_view value = cookieValue(fields, name);
    require(value == plainReading(lines, std::string(name)));
    checkToken(value);
    checkCrumbs(lines, name, value);
    return 0;
}
