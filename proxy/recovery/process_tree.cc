#include "proxy/recovery/process_tree.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

namespace regrow::recovery {
namespace {

constexpr std::string_view kTokenName = "REGROW_SERVER_TOKEN";

// The pid is looked at again after the pidfd is held: the signal cannot hit whoever has it next.
bool signalProcess(const ProcessInfo& process, int signal_number) {
    const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0)));
    if (!pidfd) return false;
    const auto now = readStat(process.pid);
    if (!now || now->info.start_ticks != process.start_ticks) return false;
    return ::syscall(SYS_pidfd_send_signal, pidfd.get(), signal_number, nullptr, 0) == 0;
}

}  // namespace

std::string ProcessInfo::text() const {
    const char* meaning = state == 'D'                   ? ", waits in the kernel"
                          : state == 'T' || state == 't' ? ", stopped"
                                                         : "";
    return fmt::format("{} {} (state {}{})", pid, name, state, meaning);
}

ProcessTree::ProcessTree(TreeId id) : id_(std::move(id)) {
    // Pids of another boot name nobody here.
    if (id_.leader && id_.leader->boot_id != bootId()) id_.leader.reset();
}

const std::vector<ProcessInfo>& ProcessTree::scan() {
    const Table table = readProcesses();
    members_.clear();
    std::vector<const ProcessInfo*> others;
    for (const auto& [pid, stat] : table)
        if (stat.alive && pid != 1 && pid != ::getpid()) others.push_back(&stat.info);
    // Parents come before children by age, mostly; pids and clocks wrap, so until nothing changes.
    std::ranges::sort(others, {}, [](const auto* p) { return std::pair(p->start_ticks, p->pid); });
    for (size_t before = others.size() + 1; before != others.size();) {
        before = others.size();
        std::erase_if(others, [&](const ProcessInfo* process) {
            if (!belongs(*process, table)) return false;
            known_[process->pid] = process->start_ticks;
            members_.push_back(*process);
            return true;
        });
    }
    return members_;
}

bool ProcessTree::belongs(const ProcessInfo& process, const Table& table) {
    if (isKnown(process)) return true;
    const auto& token = tokenOf(process);
    if (token && !id_.token.empty() && *token == id_.token) return true;
    if (id_.leader && process.start_ticks < id_.leader->start_ticks) return false;
    const auto parent = table.find(process.parent);
    if (parent != table.end() && isKnown(parent->second.info)) return true;
    if (token) return false;  // another server's
    return ledByMember(process.session, table) || ledByMember(process.group, table);
}

bool ProcessTree::isKnown(const ProcessInfo& process) const {
    if (id_.leader && id_.leader->pid == process.pid)
        return id_.leader->start_ticks == process.start_ticks;
    const auto known = known_.find(process.pid);
    return known != known_.end() && known->second == process.start_ticks;
}

bool ProcessTree::ledByMember(pid_t leader, const Table& table) const {
    const bool named = (id_.leader && id_.leader->pid == leader) || known_.contains(leader);
    if (!named) return false;
    // The kernel gives nobody a pid that still names a session or a group, so with its leader gone
    // it is the old one.
    const auto now = table.find(leader);
    return now == table.end() || isKnown(now->second.info);
}

const std::optional<std::string>& ProcessTree::tokenOf(const ProcessInfo& process) {
    static const std::optional<std::string> none;
    const auto found = tokens_.find(process.pid);
    if (found != tokens_.end() && found->second.start_ticks == process.start_ticks)
        return found->second.value;
    // Reading could wait with it; a process does not stay in that state for long, or it cannot be
    // killed anyhow.
    if (process.state == 'D') return none;
    auto& entry = tokens_[process.pid];
    entry = {process.start_ticks, environmentOf(process.pid, kTokenName)};
    return entry.value;
}

size_t ProcessTree::signal(int signal_number) const {
    size_t sent = 0;
    for (const auto& process : members_) sent += signalProcess(process, signal_number) ? 1 : 0;
    return sent;
}

}  // namespace regrow::recovery
