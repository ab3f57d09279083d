#include "conf/sections.h"

namespace regrow::conf {
namespace {

Coding codingOf(std::string_view name) {
    if (name == "zstd") return Coding::zstd;
    return name == "br" ? Coding::br : Coding::gzip;
}

}  // namespace

Compression readCompression(const Reader& reader) {
    Compression compress;
    const auto section = reader.section("compress");
    compress.on = section.has_value();
    if (!section) return compress;
    if (section->has("codings")) {
        std::vector<std::string> names;
        section->get("codings", names);
        compress.codings.clear();
        for (const auto& name : names) compress.codings.push_back(codingOf(name));
    }
    section->get("types", compress.types);
    int min_bytes = static_cast<int>(compress.min_bytes);
    section->get("min_bytes", min_bytes);
    compress.min_bytes = static_cast<uint64_t>(min_bytes);
    return compress;
}

}  // namespace regrow::conf
