#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "proxy/recovery/budget.h"
#include "proxy/recovery/machine.h"
#include "proxy/recovery/server_states.h"

// A whole small world for the recovery machine, on a virtual clock and one seed: servers that die,
// hang, lose their disk and come back; spares that fail; a repository that goes away and holds
// damaged snapshots; workers that acknowledge late; operators; and a proxy that is killed between
// any journal append and any effect. The machine is the real one. While it runs, and at the end, an
// oracle checks what must never happen.
namespace regrow::test {

using namespace recovery;
using namespace std::chrono_literals;

struct SimServer {
    bool host_alive = true;
    bool process = false;  // some process of it exists
    bool answering = false;
    bool intact = true;      // its data is as at its death
    std::string snapshot{};  // what was restored onto it
    std::string ready_recovery{};
    uint64_t ready_epoch = 0;
    // How it will fail, as a replacement.
    int start_failures = 0;
    Instant start_failed{};
    bool dies_warm = false;
    int restore_failures = 0;
    ServerRecord record{};
};

// What survives kill -9. Changed in one piece, as one record of the journal.
struct SimDisk {
    std::optional<std::string> recovery;  // JSON
    Instant written{};
    std::string server = "old";
    std::string fenced{};  // the last that filled the place, while nobody does
    uint64_t epoch = 1;
    bool gave_up = false;
    std::map<std::string, ServerRecord> records;
};

struct SimWorker {
    std::string server{};
    uint64_t epoch = 0;
    Instant last{};  // view that is under way to it: views arrive in the order of their publication
};

class SimWorld {
  public:
    explicit SimWorld(uint64_t seed) : random_(seed), seed_(seed) { setUp(); }

    // Runs to the end; what went wrong, or nothing.
    std::string run() {
        while (violation_.empty() && clock_.now() < end_) turn();
        if (violation_.empty()) judgeEnd();
        return violation_.empty() ? "" : fmt::format("seed {}: {}\n{}", seed_, violation_, story());
    }
    // What the run saw, to know that the simulator reaches what it means to reach.
    const std::set<std::string>& seen() const { return seen_; }

  private:
    struct Due {
        Instant at;
        uint64_t order;
        int life;  // of the proxy it was for; 0: the world's own
        std::function<void()> what;
        bool operator<(const Due& o) const { return at != o.at ? at > o.at : order > o.order; }
    };

    bool chance(int percent) { return static_cast<int>(random_.below(100)) < percent; }
    bool fault(int percent) { return clock_.now() < healed_ && chance(percent); }
    Duration between(Duration a, Duration b) {
        return a + Duration(static_cast<int64_t>(
                       random_.below(static_cast<uint64_t>((b - a).count()) + 1)));
    }
    void after(Duration d, std::function<void()> what, bool worlds_own = false) {
        due_.push({clock_.now() + d, order_++, worlds_own ? 0 : life_, std::move(what)});
    }
    void wrong(std::string what) {
        if (violation_.empty()) violation_ = std::move(what);
    }
    void tell(std::string line) {
        story_.push_back(fmt::format("{:8.3f} {}", toSeconds(clock_.now() - begin_), line));
    }
    std::string story() const {
        std::string text;
        for (size_t i = story_.size() > 80 ? story_.size() - 80 : 0; i < story_.size(); i++)
            text += story_[i] + "\n";
        return text;
    }

    void setUp() {
        begin_ = clock_.now();
        healed_ = begin_ + 10min;
        end_ = begin_ + 40min;
        servers_["old"] = {
            .process = true, .answering = true, .record = {ServerState::in_use, "", ""}};
        for (uint64_t i = random_.below(4); i > 0; i--) {
            SimServer spare;
            spare.start_failures = chance(20) ? static_cast<int>(random_.below(5)) : 0;
            spare.restore_failures = chance(20) ? static_cast<int>(random_.below(4)) : 0;
            spare.dies_warm = chance(10);
            servers_[fmt::format("spare-{}", i)] = spare;
        }
        for (auto& [name, server] : servers_) disk_.records[name] = server.record;
        for (uint64_t i = 1, n = random_.below(6); i <= n; i++) addSnapshot(i, 1, false);
        policy();
        script();
        workers_ = std::vector<SimWorker>(2, {"old", 1, {}});
    }
    void policy() {
        auto& p = context_.policy;
        p.mode = chance(15) ? Mode::approve : chance(5) ? Mode::off : Mode::automatic;
        p.rescue = chance(80);
        p.supervised = chance(80);
        p.unfenced_proceed = chance(30);
        p.prepare_hook = chance(30);
        p.verify_hook = chance(30);
        context_.restart_allowed = chance(50);
        context_.no_traffic = chance(30);
        budget_count_ = static_cast<int>(random_.below(3)) + 1;
    }
    void script() {
        for (uint64_t i = 0, deaths = 1 + random_.below(2); i < deaths; i++)
            after(between(1s, 5min), [this] { strike(); }, true);
        if (chance(30)) window(1s, 5min, [this](bool on) { repository_down_ = on; });
        if (chance(20))
            window(1s, 2min, [this](bool on) {
                context_.paused = on;
                nudge();
            });
        if (chance(15)) after(between(1s, 6min), [this] { operatorCancels(); }, true);
        if (chance(15)) after(between(1s, 6min), [this] { operatorAsks(); }, true);
        if (chance(40)) after(between(1s, 8min), [this] { oldReturns(); }, true);
        after(8min, [this] { send({Approve{"ann"}}); }, true);
        after(20min, [this] { send({Approve{"ann"}}); }, true);
        after(1s, [this] { health(); }, true);
    }
    void window(Duration a, Duration b, std::function<void(bool)> set) {
        const Duration from = between(a, b);
        after(from, [set] { set(true); }, true);
        after(from + between(1s, 4min), [set] { set(false); }, true);
    }
    void addSnapshot(uint64_t number, uint64_t epoch, bool rescue) {
        SnapshotRef s{.id = fmt::format("{}-{}", epoch, number),
                      .epoch = epoch,
                      .number = number,
                      .captured = clock_.wallNow()};
        s.proven = rescue || chance(85);
        s.complete = rescue || chance(90);
        s.suspicious = !rescue && chance(10);
        s.rescue = rescue;
        if (chance(20)) damaged_.insert(s.id);
        snapshots_.push_back(s);
    }

    // ---- the proxy

    SimServer& server(const std::string& name) { return servers_.at(name); }

    Context context() {
        Context c = context_;
        c.wall = clock_.wallNow();
        c.budget_left = budget_.left(budget_count_, 1h, clock_.now());
        c.flapping_until = flaps_.heldUntil(clock_.now());
        c.spare = Known::no;
        for (const auto& [name, record] : disk_.records)
            if (record.state == ServerState::free || (state_ && record.claimed_by == state_->id))
                c.spare = Known::yes;
        c.other_spare = std::ranges::any_of(disk_.records, [](const auto& entry) {
            return entry.second.state == ServerState::free;
        });
        c.proven_snapshot = chance(10) ? Known::unknown : Known::no;
        if (c.proven_snapshot == Known::no && chooseSnapshot(snapshots_, {}, ""))
            c.proven_snapshot = Known::yes;
        c.epoch_floor = disk_.epoch;
        return c;
    }

    void send(Event event) {
        if (down_ || !violation_.empty()) return;
        if (!state_) {
            const bool starts = std::holds_alternative<BackendDied>(event.body) ||
                                std::holds_alternative<Requested>(event.body);
            if (!starts) return;
            state_ = begin(fmt::format("r{}", ++recoveries_), "pool", "b",
                           disk_.server.empty() ? disk_.fenced : disk_.server, disk_.epoch,
                           clock_.now());
            flaps_.died({}, clock_.now());
        }
        const RecoveryState before = *state_;
        auto result = step(before, event, context(), clock_.now());
        checkStep(before, result, event);
        if (result.must_journal && !journal(before, result)) return;
        state_ = std::move(result.state);
        for (const auto& command : result.commands) {
            if (fault(1)) return crash();
            execute(command);
            if (down_) return;
        }
    }

    void checkStep(const RecoveryState& before, const StepResult& result, const Event& event) {
        const auto& s = result.state;
        if (s.state != before.state || s.held != before.held)
            tell(fmt::format("{} | {}{}{}", eventName(event.body), result.note,
                             s.held == HeldReason::none ? "" : " / ",
                             s.held == HeldReason::none ? "" : name(s.held)));
        seen_.insert(std::string(name(s.state)));
        if (s.state == State::held) seen_.insert(std::string(name(s.held)));
        if (s.state != before.state && result.note.empty()) wrong("a transition nobody explained");
        if (!terminal(s.state) && !wakeAt(s))
            wrong(fmt::format("state {} without a deadline", name(s.state)));
        if (before.state == State::start && s.tried.size() > before.tried.size() &&
            (std::holds_alternative<StartFailed>(event.body) ||
             std::holds_alternative<HookFailed>(event.body)))
            wrong("a snapshot was blamed for its spare");
        if (s.state == State::failed && s.attempts < context_.policy.max_attempts)
            wrong("it failed before its attempts were spent");
        if (terminal(s.state) && !s.pending.empty())
            wrong("a recovery ended while it waited for something");
        if (s.state == State::held && (s.held == HeldReason::none || s.reason.empty()))
            wrong("held without a reason");
        if (s.gate_passed && !before.gate_passed) {
            budget_.forget(1h, clock_.now());
            if (!s.approved && !budget_.left(budget_count_, 1h, clock_.now()))
                wrong("more recoveries than the budget allows");
            budget_.spend(clock_.now());
        }
        if (!result.must_journal || chance(80)) return;  // dear; one in five finds it too
        const auto again = stateFromJson(toJson(s, clock_.now()), clock_.now());
        if (!again || *again != s) wrong("the state does not survive JSON");
    }

    // False: killed before the record was durable; nothing of it happened.
    bool journal(const RecoveryState& before, const StepResult& result) {
        if (fault(1)) return crash(), false;
        disk_.recovery = toJson(result.state, clock_.now());
        disk_.written = clock_.now();
        for (const auto& c : result.commands) bookkeep(c);
        if (result.state.state == State::steady && before.state != State::steady)
            flaps_.returnedHealthy(clock_.now());
        if (fault(2)) return crash(), false;
        return true;
    }
    void mark(const std::string& name, ServerChange what, const Command& c) {
        auto changed = change(disk_.records.at(name), what, c.recovery, c.text);
        if (!changed) return wrong(changed.error().message);
        disk_.records[name] = *changed;
    }
    void bookkeep(const Command& c) {
        switch (c.action) {
            case Action::free_spare:
                if (!server(c.spare).snapshot.empty() &&
                    server(c.spare).snapshot.starts_with("part"))
                    wrong("a half-written spare was freed");
                return mark(c.spare, ServerChange::give_back, c);
            case Action::mark_spare_dirty: return mark(c.spare, ServerChange::soil, c);
            case Action::mark_spare_lost: return mark(c.spare, ServerChange::lose, c);
            case Action::quarantine_old: return mark(c.old_server, ServerChange::quarantine, c);
            case Action::publish_serving: return mark(c.spare, ServerChange::use, c);
            default: return;
        }
    }

    void crash() {
        seen_.insert("crash");
        tell("the proxy is killed");
        down_ = true;
        life_++;
        state_.reset();
        workers_ = std::vector<SimWorker>(2);
        after(between(100ms, 8s), [this] { restart(); }, true);
    }
    void restart() {
        tell("the proxy starts again");
        down_ = false;
        for (auto& worker : workers_) worker = {disk_.server, disk_.epoch, {}};
        if (!disk_.recovery) return;
        auto loaded = stateFromJson(*disk_.recovery, disk_.written);
        if (!loaded) return wrong(loaded.error().message);
        auto resumed = resume(*loaded, context(), clock_.now());
        state_ = std::move(resumed.state);
        for (const auto& command : resumed.commands) {
            execute(command);
            if (down_) return;
        }
    }

    // ---- effects

    void answer(const Command& c, EventBody body, Duration least = 5ms, Duration most = 800ms) {
        if (fault(2)) return tell(fmt::format("no answer will come to {}", name(c.action)));
        after(between(least, most), [this, c, body = std::move(body)] { send({body, c.step}); });
    }
    void mustOwnSpare(const Command& c) {
        const auto& record = disk_.records.at(c.spare);
        if (record.state != ServerState::claimed || record.claimed_by != c.recovery)
            wrong(fmt::format("{} writes to {} which recovery {} has not claimed", name(c.action),
                              c.spare, c.recovery));
    }

    void execute(const Command& c) {
        switch (c.action) {
            case Action::restart_in_place: return restartInPlace(c);
            case Action::persist_epoch: return persistEpoch(c);
            case Action::publish_fenced: return publish(c, "", c.epoch);
            case Action::stop_old: return stopOld(c);
            case Action::rescue: return rescue(c);
            case Action::list_snapshots:
                return repository_down_ ? answer(c, RepositoryDown{"refused"})
                                        : answer(c, SnapshotsListed{snapshots_}, 5ms, 4s);
            case Action::claim_spare: return claim(c);
            case Action::pin_snapshot: return pin(c);
            case Action::restore: return restore(c);
            case Action::verify_tree: return verify(c);
            case Action::run_verify_hook:
            case Action::run_prepare_hook:
                return fault(10) ? answer(c, HookFailed{"exit 1"}) : answer(c, HookDone{});
            case Action::activate: return activate(c);
            case Action::start_service: return startService(c);
            case Action::watch_checks: return watch(c);
            case Action::stop_replacement: return stopReplacement(c);
            case Action::publish_serving: return serve(c);
            case Action::release_held: return answer(c, HeldReleased{});
            case Action::ramp: return answer(c, RampDone{}, 1s, 10s);
            case Action::take_first_snapshot: return firstSnapshot(c);
            case Action::reinstate_old:
                seen_.insert("reinstate");
                disk_.server = c.old_server;
                return publish(c, c.old_server, c.epoch);
            case Action::end_recovery: return endRecovery(c);
            default: return;
        }
    }

    void restartInPlace(const Command& c) {
        using enum RestartInPlaceResult::Outcome;
        auto& old = server(c.old_server);
        if (disk_.server != c.old_server) wrong("a fenced server was restarted in place");
        if (!old.host_alive || fault(20)) return answer(c, RestartInPlaceResult{failed, "no"});
        if (!old.intact) return answer(c, RestartInPlaceResult{touched, "files vanished"});
        old.process = true;
        if (!fault(30)) after(between(1s, 6s), [&old] { old.answering = old.process; }, true);
        answer(c, RestartInPlaceResult{started, ""});
    }
    void persistEpoch(const Command& c) {
        if (fault(5)) return answer(c, EpochFailed{"no space left on device"});
        if (c.epoch < disk_.epoch) wrong("an epoch went backwards");
        disk_.epoch = c.epoch;
        disk_.server.clear();
        disk_.fenced = c.old_server;
        answer(c, EpochDurable{});
    }
    void publish(const Command& c, const std::string& name, uint64_t epoch) {
        auto missing = std::make_shared<size_t>(workers_.size());
        for (size_t i = 0; i < workers_.size(); i++) {
            const Duration takes = fault(3) ? 30s : between(1ms, fault(5) ? 8s : 50ms);
            auto& last = workers_[i].last;
            last = std::max(last, clock_.now() + takes);
            after(last - clock_.now(), [this, i, name, epoch, c, missing] {
                workers_[i].server = name;
                workers_[i].epoch = epoch;
                if (--*missing == 0) send({WorkersAcknowledged{}, c.step});
            });
        }
    }
    void stopOld(const Command& c) {
        auto& old = server(c.old_server);
        if (!old.host_alive)
            return chance(50) ? answer(c, FenceFailed{"the host does not answer"})
                              : answer(c, ProcessesGone{false, "fence hook"});
        if (fault(5)) return answer(c, FenceFailed{"a process cannot be killed"});
        old.process = old.answering = false;
        answer(c, ProcessesGone{old.intact, "cgroup empty"}, 5ms, 2s);
    }
    void rescue(const Command& c) {
        auto& old = server(c.old_server);
        // Somebody else may have started it again since it was stopped; the executor looks, and
        // refuses.
        if (old.process) return answer(c, RescueFailed{"it runs again"});
        if (!old.intact) wrong("a rescue from a disk that is not intact");
        if (repository_down_) return answer(c, RescueFailed{"away", true});
        if (fault(20)) return answer(c, RescueFailed{"no", chance(50)});
        for (uint64_t i = 1; i < 4; i++) answer(c, RescueProgress{i}, 1s, 4s);
        after(between(1s, fault(20) ? 40s : 4s), [this, c] {
            const uint64_t number = snapshots_.empty() ? 1 : snapshots_.back().number + 1;
            addSnapshot(number, disk_.epoch, true);
            if (chance(15)) snapshots_.back().proven = false;
            send({RescueDone{snapshots_.back()}, c.step});
        });
    }
    void claim(const Command& c) {
        for (auto& [name, record] : disk_.records) {
            if (record.state != ServerState::free && record.claimed_by != c.recovery) continue;
            record = {ServerState::claimed, "", c.recovery};
            return answer(c, SpareClaimed{name});
        }
        answer(c, NoSpare{"none is free"});
    }
    void pin(const Command& c) {
        const auto& s = *c.snapshot;
        if (!s.proven || !s.complete || s.suspicious) wrong("an unproven snapshot was chosen");
        const auto& tried = state_->tried;
        if (std::ranges::count(tried, s.id) != 0) wrong("a snapshot was chosen twice");
        for (const auto& other : state_->candidates)
            if (other.proven && other.complete && !other.suspicious &&
                std::ranges::count(tried, other.id) == 0 && state_->wanted_snapshot.empty() &&
                std::pair(other.epoch, other.number) > std::pair(s.epoch, s.number))
                wrong(fmt::format("{} was chosen though {} is newer", s.id, other.id));
        fault(3) ? answer(c, PinFailed{"pruned"}) : answer(c, SnapshotPinned{});
    }
    void restore(const Command& c) {
        using enum RestoreFailed::Kind;
        mustOwnSpare(c);
        auto& spare = server(c.spare);
        if (spare.process) wrong("a restore under a running process");
        spare.ready_recovery.clear();
        spare.snapshot = "part of " + c.snapshot->id;
        if (repository_down_) return answer(c, RestoreFailed{repository_down, "refused"});
        if (!spare.host_alive) return answer(c, RestoreFailed{spare_lost, "no route"});
        if (spare.restore_failures-- > 0)
            return answer(c, RestoreFailed{chance(50)   ? no_space
                                           : chance(50) ? spare_lost
                                                        : other,
                                           "no"});
        if (damaged_.contains(c.snapshot->id) && chance(50))
            return answer(c, RestoreFailed{bad_chunk, "pack p"});
        for (uint64_t i = 1; i < 5; i++)
            after(i * 1s, [this, c, i] { send({RestoreProgress{i, 5}, c.step}); });
        if (fault(5)) return;  // stalls
        after(5s, [this, c] {
            server(c.spare).snapshot = c.snapshot->id;
            send({RestoreDone{5}, c.step});
        });
    }
    void verify(const Command& c) {
        mustOwnSpare(c);
        if (server(c.spare).snapshot != c.snapshot->id)
            wrong("verification of something else than was restored");
        damaged_.contains(c.snapshot->id) ? answer(c, VerifyFailed{"malformed", false})
                                          : answer(c, TreeVerified{"d"});
    }
    void activate(const Command& c) {
        mustOwnSpare(c);
        if (fault(5)) return answer(c, ActivateFailed{"rename"});
        server(c.spare).ready_recovery = c.recovery;
        server(c.spare).ready_epoch = c.epoch;
        answer(c, Activated{});
    }
    void startService(const Command& c) {
        auto& spare = server(c.spare);
        if (spare.ready_recovery != c.recovery || spare.ready_epoch != c.epoch)
            wrong("a start without READY of this recovery and epoch");
        if (spare.snapshot.empty()) wrong("a start on empty data");
        if (spare.start_failed != Instant{} && clock_.now() - spare.start_failed < 500ms)
            wrong("started again without a pause");
        spare.process = true;
        if (spare.start_failures-- > 0) {
            spare.process = false;
            spare.start_failed = clock_.now();
            return answer(c, StartFailed{"exit 1"});
        }
        answer(c, ServiceStarted{});
    }
    void watch(const Command& c) {
        auto& spare = server(c.spare);
        if (fault(5)) return answer(c, ChecksBad{"exit 1"});
        if (fault(5)) return;  // hangs at start
        after(between(1s, 5s), [this, c, &spare] {
            spare.answering = spare.process;
            send(
                {spare.process ? EventBody(ChecksGood{}) : EventBody(ChecksBad{"exit 1"}), c.step});
        });
        if (!spare.dies_warm) return;
        after(between(5s, 9s), [this, c, &spare] {
            spare.process = spare.answering = false;
            send({ChecksBad{"exit 1"}, c.step});
        });
    }
    void stopReplacement(const Command& c) {
        if (fault(5)) return answer(c, StopFailed{"a process cannot be killed"});
        server(c.spare).process = server(c.spare).answering = false;
        answer(c, ReplacementStopped{});
    }
    void serve(const Command& c) {
        disk_.server = c.spare;
        if (c.epoch != disk_.epoch) wrong("served with an epoch that is not the durable one");
        publish(c, c.spare, c.epoch);
    }
    void firstSnapshot(const Command& c) {
        if (repository_down_ || fault(20)) return answer(c, SnapshotFailed{"no"});
        addSnapshot(snapshots_.empty() ? 1 : snapshots_.back().number + 1, c.epoch, false);
        answer(c, SnapshotTaken{snapshots_.back()});
    }
    void endRecovery(const Command&) {
        const auto result = resultName(*state_);
        seen_.insert(result);
        tell("ended: " + result);
        if (result == "done") flaps_.recoveredAt(clock_.now());
        disk_.gave_up = disk_.gave_up || result == "cancelled" || result == "failed";
        if (disk_.server.empty() && disk_.gave_up && !disk_.fenced.empty() &&
            disk_.records.at(disk_.fenced).state == ServerState::in_use)
            wrong("nobody fills the place, and the server that did cannot be released");
        for (auto& [name, record] : disk_.records) {
            if (record.claimed_by != state_->id || record.state != ServerState::claimed) continue;
            // A claim whose answer came too late: freed here, and provably not written to.
            if (server(name).snapshot.starts_with("part"))
                wrong(
                    fmt::format("spare {} leaked, written to, at the end of {}", name, state_->id));
            record = {};
        }
        state_.reset();
        disk_.recovery.reset();
    }

    // ---- the world

    void strike() {
        if (disk_.server.empty()) return;
        auto& s = server(disk_.server);
        s.answering = false;
        switch (random_.below(4)) {
            case 0:
                tell("crash");
                s.process = false;
                return exits(disk_.server);
            case 1:
                tell("wipe");
                s.process = s.intact = false;
                return exits(disk_.server);
            case 2: return tell("hang");
            default: tell("host loss"); s.process = s.host_alive = s.intact = false;
        }
    }
    void exits(const std::string& name) {
        send({BackendDied{.kind = EvidenceKind::process_exit,
                          .text = "SIGKILL",
                          .proof = true,
                          .server = name,
                          .died_at = clock_.now(),
                          .died_wall = clock_.wallNow()}});
    }
    void health() {
        // Every second while things break, then seldom: nothing new comes, and simulated time is
        // not free.
        after(
            clock_.now() < healed_ + 1min ? Duration(1s) : Duration(20s), [this] { health(); },
            true);
        if (down_ || disk_.gave_up) return;
        const std::string current = state_ ? state_->old_server : disk_.server;
        if (!current.empty() && server(current).answering && state_ &&
            (state_->state == State::suspect || state_->state == State::held))
            return send({Recovered{}});
        if (disk_.server.empty() || server(disk_.server).answering) return nudge();
        const auto kind = chance(50) ? EvidenceKind::check : EvidenceKind::traffic;
        send({BackendDied{.kind = kind,
                          .text = "refused",
                          .proof = !server(disk_.server).process && chance(30),
                          .server = disk_.server,
                          .died_at = clock_.now(),
                          .died_wall = clock_.wallNow()}});
    }
    void nudge() {
        if (chance(30)) send({GateChanged{}});
    }
    void operatorCancels() {
        if (state_ && mayCancel(*state_)) seen_.insert("cancel");
        send({Cancel{"ann"}});
    }
    void operatorAsks() {
        if (down_) return;
        disk_.gave_up = false;
        send({Requested{"ann", chance(50) || snapshots_.empty() ? "" : snapshots_.front().id}});
    }
    void oldReturns() {
        auto& old = server("old");
        old.host_alive = true;
        if (disk_.server != "old" && !old.process && !old.intact) return;
        tell("the old server is back");
        old.process = old.answering = true;
        if (state_ && state_->old_server == "old" && disk_.server != "old")
            send({OldReturned{true, old.intact, "seen again"}});
    }

    void turn() {
        std::optional<Instant> wake = state_ && !down_ ? wakeAt(*state_) : std::nullopt;
        if (!due_.empty() && (!wake || due_.top().at <= *wake)) {
            const Due next = due_.top();
            due_.pop();
            clock_.advance(std::max(Duration{}, next.at - clock_.now()));
            if (next.life == 0 || next.life == life_) next.what();
        } else if (wake) {
            clock_.advance(std::max(Duration{1ms}, *wake - clock_.now()));
            send({Tick{}});
        }
        observe();
    }

    // Clients write all the time, to whatever the workers let them.
    void observe() {
        // Whether the old server happens to answer is luck; that a worker would still send to it is
        // the fault.
        uint64_t highest_served = 0;
        for (const auto& worker : workers_)
            if (!worker.server.empty()) highest_served = std::max(highest_served, worker.epoch);
        for (const auto& worker : workers_)
            if (!worker.server.empty() && worker.epoch < highest_served)
                wrong(fmt::format(
                    "a worker still sends to {} with epoch {} while another serves epoch {}",
                    worker.server, worker.epoch, highest_served));
        for (const auto& worker : workers_) {
            if (worker.server.empty() || !server(worker.server).answering) continue;
            if (worker.epoch < highest_written_)
                wrong(fmt::format("epoch {} took a write after epoch {}", worker.epoch,
                                  highest_written_));
            highest_written_ = std::max(highest_written_, worker.epoch);
            const auto& s = server(worker.server);
            if (worker.server.starts_with("spare") && s.ready_recovery.empty())
                wrong("a request reached a server without READY");
        }
        if (state_ && !down_ && state_->state != State::held && state_->state != State::protect &&
            clock_.now() - state_->entered > 10min)
            wrong(fmt::format("more than ten minutes in {}", name(state_->state)));
    }

    void judgeEnd() {
        const bool looking_again =
            state_ && state_->state == State::choose && state_->alarmed != HeldReason::none;
        if (state_ && state_->state != State::held && state_->state != State::suspect &&
            !looking_again)
            return wrong(fmt::format("neither ended nor held, but in {} ({})", name(state_->state),
                                     state_->reason));
        for (const auto& [name, record] : disk_.records)
            if (record.state == ServerState::claimed &&
                (!state_ || record.claimed_by != state_->id))
                wrong(fmt::format("spare {} leaked", name));
        if (state_ || disk_.gave_up) return;
        if (disk_.server.empty()) return wrong("nobody fills the place, and nobody says why");
        for (const auto& worker : workers_)
            if (!down_ && worker.server != disk_.server)
                wrong("a worker does not serve what was assigned");
    }

    Random random_;
    uint64_t seed_;
    ManualClock clock_;
    Instant begin_{}, healed_{}, end_{};
    std::priority_queue<Due> due_;
    uint64_t order_ = 0;
    int life_ = 1;
    bool down_ = false;
    Context context_;
    Budget budget_;
    int budget_count_ = 3;
    FlapHistory flaps_;
    int recoveries_ = 0;
    std::map<std::string, SimServer> servers_;
    std::vector<SnapshotRef> snapshots_;
    std::set<std::string> damaged_;
    bool repository_down_ = false;
    SimDisk disk_;
    std::vector<SimWorker> workers_;
    std::optional<RecoveryState> state_;
    uint64_t highest_written_ = 0;
    std::string violation_;
    std::vector<std::string> story_;
    std::set<std::string> seen_;
};

}  // namespace regrow::test
