#include "backup/lineage.h"

#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>

#include "base/file.h"
#include "base/json.h"

namespace regrow::backup {
namespace {

constexpr int64_t kFormat = 1;
constexpr size_t kLargestMarker = 1 << 16;

std::string pathOf(const std::string& data) {
    return data + "/" + kMarkerName;
}

std::unexpected<Error> corrupt(std::string what) {
    return fail(Code::corrupt, Source::disk, std::move(what));
}

Result<Ready> decodeReady(const rapidjson::Value& object) {
    const auto recovery = json::getString(object, "recovery");
    const auto epoch = json::getUint(object, "epoch");
    const auto snapshot = json::getString(object, "snapshot");
    const auto digest = json::getString(object, "digest");
    if (!recovery || !epoch || !snapshot || !digest)
        return corrupt("\"ready\" lacks one of recovery, epoch, snapshot, digest");
    return Ready{*recovery, *epoch, *snapshot, *digest};
}

}  // namespace

std::string encodeMarker(const Marker& marker) {
    json::Writer w;
    w.beginObject()
        .field("format", kFormat)
        .field("backend", marker.backend)
        .field("lineage", marker.lineage);
    w.field("epoch", marker.epoch);
    if (!marker.staged_for.empty()) w.field("staged_for", marker.staged_for);
    if (const auto& ready = marker.ready) {
        w.key("ready")
            .beginObject()
            .field("recovery", ready->recovery)
            .field("epoch", ready->epoch);
        w.field("snapshot", ready->snapshot).field("digest", ready->digest).endObject();
    }
    w.endObject();
    return w.text() + "\n";
}

Result<Marker> decodeMarker(std::string_view text) {
    auto document = json::parse(text);
    if (!document) return corrupt(document.error().message);
    const auto format = json::getInt(*document, "format");
    if (!format) return corrupt("no format number");
    if (*format != kFormat)
        return corrupt(
            fmt::format("format {} is not {}, the one this program knows", *format, kFormat));
    const auto backend = json::getString(*document, "backend");
    const auto lineage = json::getString(*document, "lineage");
    const auto epoch = json::getUint(*document, "epoch");
    if (!backend || !lineage || !epoch) return corrupt("one of backend, lineage, epoch is missing");
    Marker marker{
        .backend = *backend, .lineage = *lineage, .epoch = *epoch, .staged_for = {}, .ready = {}};
    marker.staged_for = json::getString(*document, "staged_for").value_or("");
    if (!document->HasMember("ready")) return marker;
    REGROW_TRY(marker.ready, decodeReady((*document)["ready"]));
    return marker;
}

Result<std::optional<Marker>> readMarker(const std::string& data) {
    if (::access(data.c_str(), F_OK) != 0) return failErrno(errno, data);
    auto text = readFile(pathOf(data), kLargestMarker);
    if (!text && text.error().code == Code::not_found) return std::optional<Marker>();
    if (!text) return std::unexpected(std::move(text.error()));
    auto marker = decodeMarker(*text);
    if (!marker)
        return std::unexpected(
            std::move(marker.error())
                .in(fmt::format("the lineage marker {} cannot be trusted", pathOf(data))));
    return std::optional(std::move(*marker));
}

Result<> writeMarker(const std::string& data, const Marker& marker) {
    return writeFileAtomic(pathOf(data), encodeMarker(marker), 0644);
}

Result<> removeMarker(const std::string& data) {
    if (::unlink(pathOf(data).c_str()) != 0 && errno != ENOENT)
        return failErrno(errno, "removing " + pathOf(data));
    return syncDirectory(data);
}

namespace {

// The marker there, unless it is another's.
Result<Marker> markerOf(const std::string& data, const std::string& backend,
                        const std::string& lineage) {
    const auto refuse = [&](const std::string& why) {
        return fail(Code::refused, Source::disk, fmt::format("{}: {}", data, why));
    };
    REGROW_TRY(auto marker, readMarker(data));
    if (!marker)
        return refuse(fmt::format(
            "no lineage marker ({}): this may be another disk, or a wiped one", kMarkerName));
    if (!marker->staged_for.empty())
        return refuse(fmt::format("a tree restored for recovery {} and not yet activated",
                                  marker->staged_for));
    if (marker->backend != backend)
        return refuse(fmt::format("the data of {}, not of {}", marker->backend, backend));
    if (marker->lineage != lineage)
        return refuse(fmt::format("of lineage {}, not {}", marker->lineage, lineage));
    return std::move(*marker);
}

std::unexpected<Error> otherEpoch(const std::string& data, uint64_t is, uint64_t wanted) {
    return fail(Code::refused, Source::disk,
                fmt::format("{}: of epoch {}, not {}", data, is, wanted));
}

}  // namespace

Result<> raiseEpoch(const std::string& data, const std::string& backend, const std::string& lineage,
                    uint64_t epoch) {
    REGROW_TRY(auto marker, markerOf(data, backend, lineage));
    if (marker.epoch > epoch) return otherEpoch(data, marker.epoch, epoch);
    if (marker.epoch == epoch) return {};
    marker.epoch = epoch;
    return writeMarker(data, marker);
}

Result<Marker> requireMarker(const std::string& data, const std::string& backend,
                             const std::string& lineage, uint64_t epoch) {
    REGROW_TRY(auto marker, markerOf(data, backend, lineage));
    if (marker.epoch != epoch) return otherEpoch(data, marker.epoch, epoch);
    return marker;
}

}  // namespace regrow::backup
