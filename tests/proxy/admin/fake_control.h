#pragma once

#include <map>
#include <string>
#include <vector>

#include "proxy/control/status.h"

namespace regrow::admin::testing {

// Control as the surfaces see it: what it shows is set by the test, what it is asked is written
// down.
class FakeControl final : public control::Control {
  public:
    control::Status shown;
    std::vector<control::SnapshotStatus> kept_snapshots;
    std::vector<control::Event> past;
    std::vector<std::string> asked;  // "drain wiki wiki-1 '' admin"
    std::optional<Error> refuse_with;
    bool is_ready = true;

    control::Status status() const override { return shown; }
    std::vector<control::SnapshotStatus> snapshots() const override { return kept_snapshots; }
    bool ready() const override { return is_ready; }

    std::vector<control::Event> events(const std::string& pool, const std::string& backend,
                                       uint64_t since) const override {
        std::vector<control::Event> out;
        for (const auto& e : past)
            if (e.seq > since && (pool.empty() || e.pool == pool) &&
                (backend.empty() || e.backend == backend))
                out.push_back(e);
        return out;
    }
    Result<std::string> act(const std::string& verb, const std::string& pool,
                            const std::string& target, const std::string& snapshot,
                            const std::string& actor) override {
        return said(verb + " " + pool + " " + target + " '" + snapshot + "' " + actor);
    }
    Result<std::string> approve(const std::string& recovery, const std::string& actor) override {
        return said("approve " + recovery + " " + actor);
    }
    Result<std::string> cancel(const std::string& recovery, const std::string& actor) override {
        return said("cancel " + recovery + " " + actor);
    }
    Result<std::string> pause(bool paused, const std::string& actor) override {
        shown.paused = paused;
        return said((paused ? "pause " : "resume ") + actor);
    }
    Result<std::string> reload(const std::string& actor) override {
        return said("reload " + actor);
    }
    std::shared_ptr<void> subscribe(std::function<void(const control::Event&)> listener) override {
        const int id = next_++;
        listeners_[id] = std::move(listener);
        return {this, [id](void* self) { static_cast<FakeControl*>(self)->listeners_.erase(id); }};
    }

    void happen(control::Event event) {
        event.seq = past.empty() ? 1 : past.back().seq + 1;
        past.push_back(event);
        for (auto& [id, listener] : listeners_) listener(event);
    }
    size_t listeners() const { return listeners_.size(); }

  private:
    Result<std::string> said(std::string what) {
        if (refuse_with) return std::unexpected(*refuse_with);
        asked.push_back(what);
        return "done: " + what;
    }
    std::map<int, std::function<void(const control::Event&)>> listeners_;
    int next_ = 0;
};

// A proxy with everything in it: two pools, every kind of backend, a recovery under way and one
// behind it.
control::Status richStatus(WallTime now);
std::vector<control::Event> richEvents(WallTime now);

}  // namespace regrow::admin::testing
