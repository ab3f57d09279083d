#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"

// The lineage marker `.regrow` in the root of a data directory: whose data this is. Never part of a
// snapshot. It is what stands between a wiped disk and an empty service that is taken for healthy
// and then backed up over the good snapshots: no server with data is started, captured or rescued
// unless its marker matches.
//
//   {"format":1,"backend":"wiki/wiki-1","lineage":"…","epoch":3,
//    "staged_for":"r-17",                                            while a restored tree waits
//    for its activation "ready":{"recovery":"r-17","epoch":3,"snapshot":"…","digest":"…"}} after a
//    restore, written last
//
// Written atomically and durably (base/file.h). Unknown fields are ignored, an unknown format is
// refused.
namespace regrow::backup {

struct Ready {
    std::string recovery;
    uint64_t epoch = 0;
    std::string snapshot;
    std::string digest;  // of the tree as it was activated, treeDigest()
    friend bool operator==(const Ready&, const Ready&) = default;
};

struct Marker {
    std::string backend;  // POOL/NAME
    std::string lineage;
    uint64_t epoch = 0;
    std::string staged_for;  // recovery whose tree this is, not yet activated; else empty
    std::optional<Ready> ready;
    friend bool operator==(const Marker&, const Marker&) = default;
};

constexpr const char* kMarkerName = ".regrow";

std::string encodeMarker(const Marker& marker);
Result<Marker> decodeMarker(std::string_view text);  // Code::corrupt names what is wrong

// Nothing when the directory has no marker. Code::corrupt when it has one that cannot be
// understood.
Result<std::optional<Marker>> readMarker(const std::string& data);
Result<> writeMarker(const std::string& data, const Marker& marker);
// The server that has this data serves at a higher epoch from now on. Code::refused unless the
// marker is of this backend and lineage and of no higher epoch; the same epoch again changes
// nothing.
Result<> raiseEpoch(const std::string& data, const std::string& backend, const std::string& lineage,
                    uint64_t epoch);
// Durable; absent is success.
Result<> removeMarker(const std::string& data);

// Code::refused with what differs, unless the marker is there and is that of this backend, lineage
// and epoch.
Result<Marker> requireMarker(const std::string& data, const std::string& backend,
                             const std::string& lineage, uint64_t epoch);

}  // namespace regrow::backup
