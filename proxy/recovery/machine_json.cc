#include "proxy/recovery/journal_fields.h"
#include "proxy/recovery/machine_fields.h"

namespace regrow::recovery {

std::string toJson(const RecoveryState& state, Instant now) {
    return fieldsToJson(state, now);
}

Result<RecoveryState> stateFromJson(std::string_view text, Instant now) {
    REGROW_TRY(const auto document, json::parse(text));
    for (const char* key : {"id", "pool", "backend", "state", "epoch"})
        if (!document.IsObject() || !document.HasMember(key))
            return fail(Code::corrupt, Source::disk,
                        fmt::format("recovery state: field {} is missing", key));
    return fieldsFromJson<RecoveryState>(document, now, "recovery state");
}

}  // namespace regrow::recovery
