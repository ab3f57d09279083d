#include "proxy/cli/demo_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <iterator>

#include "base/json.h"
#include "base/text.h"

namespace regrow::cli {

namespace {

// The blow that silenced the service: the first one after everything that was answered before.
// `alive`: when the last request was sent that was answered before the silence. A blow in the
// middle of a request that still was answered comes before that: then it is the last before the
// silence.
std::optional<Instant> causeOf(const std::vector<Instant>& blows, Instant alive, Instant back) {
    const auto after = std::ranges::lower_bound(blows, alive);
    if (after != blows.end() && *after <= back) return *after;
    return after == blows.begin() ? std::nullopt : std::optional(*std::prev(after));
}

}  // namespace

void countVisits(DemoReport& report, const std::vector<Visit>& visits, const DemoFault& fault) {
    report.requests = visits.size();
    report.failed = static_cast<size_t>(std::ranges::count_if(visits, &Visit::failed));
    // The service was back when the longest silence after a fault ended.
    std::vector<Visit> good;
    std::ranges::copy_if(visits, std::back_inserter(good), std::not_fn(&Visit::failed));
    std::ranges::sort(good, {}, &Visit::answered);
    Duration longest{};
    Instant alive{};
    for (size_t i = 1; i < good.size(); ++i) {
        alive = std::max(alive, good[i - 1].sent);
        const Duration silence = good[i].answered - good[i - 1].answered;
        const auto cause = causeOf(fault.at, alive, good[i].answered);
        if (!cause || silence <= longest) continue;
        longest = silence;
        report.rto_ms = toMs(good[i].answered - *cause);
    }
}

void countLoss(DemoReport& report, const std::vector<Visit>& visits,
               const std::vector<int>& present, std::optional<WallTime> restored_from,
               const DemoFault& fault) {
    WallTime oldest_lost = WallTime::max();
    for (const auto& visit : visits) {
        if (!visit.write || !visit.good()) continue;
        ++report.acknowledged;
        const bool allowed = restored_from && visit.answered_wall >= *restored_from &&
                             visit.answered_wall <= fault.wall;
        if (allowed) ++report.lost_allowed;
        if (std::ranges::binary_search(present, visit.item)) continue;
        ++report.lost;
        report.lost_items.push_back(visit.item);
        oldest_lost = std::min(oldest_lost, visit.answered_wall);
        if (!allowed) ++report.lost_wrongly;
    }
    if (report.lost > 0)
        report.rpo_ms = std::max(
            0.0, std::chrono::duration<double, std::milli>(fault.wall - oldest_lost).count());
}

std::string reportJson(const DemoReport& r) {
    json::Writer w;
    w.beginObject()
        .field("scenario", r.scenario)
        .field("requests", uint64_t{r.requests})
        .field("failed", uint64_t{r.failed});
    w.field("held", r.held)
        .field("detected_ms", r.detected_ms)
        .field("restored_bytes", r.restored_bytes);
    w.field("restore_ms", r.restore_ms).field("rto_ms", r.rto_ms).field("rpo_ms", r.rpo_ms);
    w.field("acknowledged", uint64_t{r.acknowledged}).field("lost", uint64_t{r.lost});
    w.field("lost_allowed", uint64_t{r.lost_allowed}).field("ok", r.ok());
    w.field("configuration", r.configuration);
    return w.endObject().text();
}

std::string reportText(const DemoReport& r) {
    std::string text = "\n";
    text += fmt::format("  requests      {} sent, {} failed, {} held until the backend was back\n",
                        r.requests, r.failed, r.held);
    text += fmt::format("  detected      {:.0f} ms after the fault\n", r.detected_ms);
    if (!r.snapshot.empty())
        text += fmt::format("  restored      {} from snapshot {} in {:.0f} ms\n",
                            humanSize(r.restored_bytes), r.snapshot, r.restore_ms);
    text += fmt::format("  RTO           {:.0f} ms from the fault to the first good answer\n",
                        r.rto_ms);
    text += fmt::format("  RPO           {:.0f} ms\n", r.rpo_ms);
    text += fmt::format("  read back     {} of {} acknowledged items", r.acknowledged - r.lost,
                        r.acknowledged);
    if (r.lost > 0) {
        text += fmt::format("; {} lost", r.lost);
        text += r.lost_wrongly == 0
                    ? ", all of them newer than the restored snapshot:"
                    : fmt::format(", {} of them OLDER than the restored snapshot:", r.lost_wrongly);
        for (const int item : r.lost_items) text += fmt::format(" {}", item);
    }
    text += r.ok() ? "\n  result        nothing is lost beyond the declared RPO\n"
                   : "\n  result        FAILED\n";
    return text;
}

}  // namespace regrow::cli
