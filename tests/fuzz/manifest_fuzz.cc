#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "backup/manifest.h"
#include "backup/tree.h"

// Snapshot headers and tree nodes from any bytes. What is accepted must encode to something that is
// accepted again.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace regrow;
    using namespace regrow::backup;
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    if (const auto header = decodeHeader(bytes); header && !decodeHeader(encodeHeader(*header)))
        std::abort();
    PackTable packs;
    if (const auto node = decodeNode(bytes, packs)) {
        const auto encoded = encodeNode(*node, packs);
        PackTable again;
        if (!encoded || !decodeNode(*encoded, again)) std::abort();
    }
    // A tree whose every node is the input itself: levels must bound the depth.
    const FetchNode fetch = [&](const NodeRef&) -> Result<std::string> {
        return std::string(bytes);
    };
    int budget = 1000;
    (void)readTree(bytes, packs, fetch, [&](const Entry& entry) -> Result<> {
        if (!validTreePath(entry.path)) std::abort();
        if (--budget == 0) return fail(Code::cancelled, Source::us, "enough");
        return {};
    });
    return 0;
}
