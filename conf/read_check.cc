#include <fmt/core.h>

#include <algorithm>

#include "conf/sections.h"
#include "conf/values.h"

namespace regrow::conf {
namespace {

bool isPlainYes(const Node& node) {
    return node.kind == NodeKind::null || node.text == "true" ||
           (node.kind == NodeKind::map && node.entries.empty());
}

void readKind(const Reader& reader, Check& check) {
    const int kinds = reader.has("tcp") + reader.has("http") + reader.has("command");
    if (kinds > 1)
        reader.complain(
            "", "names more than one kind of check; write a list: [{tcp: true}, {http: /healthz}]");
    if (reader.has("http"))
        check.kind = CheckKind::http;
    else if (reader.has("command"))
        check.kind = CheckKind::command;
    if (const Node* tcp = reader.value("tcp"); tcp && !isPlainYes(*tcp))
        reader.complain("tcp", "must be true; the port is that of the server's address");
    reader.get("http", check.http_path);
    reader.get("command", check.command);
}

// What goes out on the wire must not be able to carry a second header or request.
bool isPrintable(const std::string& text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

void readHttp(const Reader& reader, Check& check) {
    reader.get("host", check.http_host);
    std::string expect;
    reader.get("expect", expect);
    if (!expect.empty()) {
        if (const auto range = parseStatusRange(expect))
            check.expect_low = range->low, check.expect_high = range->high;
        else
            reader.complain("expect", "is wrong: " + range.error().message);
    }
    if (check.kind != CheckKind::http) {
        for (const auto* key : {"expect", "host"})
            if (reader.has(key))
                reader.complain(key, "belongs to an http check; add 'http: /path' or remove it");
        return;
    }
    if (!check.http_path.empty() &&
        (!check.http_path.starts_with('/') || !isPrintable(check.http_path)))
        reader.complain(
            "http",
            "must be a path that begins with '/' and holds no space; write for example /healthz");
    if (!isPrintable(check.http_host))
        reader.complain("host", "must be a host name without spaces");
}

}  // namespace

Check readCheck(const Reader& reader) {
    Check check;
    readKind(reader, check);
    readHttp(reader, check);
    reader.get("every", check.every);
    check.timeout = std::min(check.timeout, check.every);  // the default follows a shorter interval
    reader.get("timeout", check.timeout);
    reader.get("rise", check.rise);
    reader.get("fall", check.fall);
    if (check.timeout > check.every)
        reader.complain("timeout",
                        "is longer than 'every', so one check would run into the next; shorten it "
                        "or lengthen 'every'");
    return check;
}

}  // namespace regrow::conf
