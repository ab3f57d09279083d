#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "proxy/recovery/journal_patch.h"
#include "proxy/recovery/journal_scan.h"
#include "proxy/recovery/machine.h"

// Whatever bytes a disk gives back: scanning and replaying them ends in a value or an error, never
// in a crash.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace regrow;
    const std::string bytes(data, data + size);
    const ManualClock clock;
    recovery::Saved saved;
    // As records: without a valid checksum nothing gets past the scan, so the payload is sealed as
    // well as taken raw.
    for (const auto& content :
         {bytes, std::string(recovery::kJournalMagic) + bytes,
          std::string(recovery::kJournalMagic) + recovery::journalRecord(bytes)}) {
        const auto scan = recovery::scanJournal(content, "journal");
        if (!scan) continue;
        for (const auto& payload : scan->payloads)
            if (const auto patch = recovery::patchFromJson(payload, clock))
                recovery::apply(*patch, saved);
    }
    (void)recovery::toJson(recovery::wholeOf(saved), clock);
    (void)recovery::stateFromJson(bytes, clock.now());
    return 0;
}
