#include "proxy/serve/observer.h"

namespace regrow::serve {

void Observer::see(uint32_t backend_slot, uint64_t epoch, Observation::Kind kind,
                   std::string_view detail) {
    // A success ends a row of failures: what follows it must not be added to what came before.
    for (auto it = seen_.rbegin(); it != seen_.rend(); ++it) {
        if (it->backend_slot != backend_slot || it->epoch != epoch) continue;
        if (it->kind != kind) break;
        ++it->count;
        it->detail = detail;
        return;
    }
    seen_.push_back({backend_slot, epoch, kind, 1, std::string(detail)});
}

void Observer::flush(Instant now) {
    if (seen_.empty() || now - flushed_ < kPace) return;
    flushed_ = now;
    control_.post(
        [deliver = deliver_, seen = std::move(seen_)]() mutable { deliver(std::move(seen)); });
    seen_.clear();
}

}  // namespace regrow::serve
