#include "proxy/control/names.h"

namespace regrow::control {
namespace {

using namespace std::chrono_literals;

constexpr Duration kEvery = 30s;  // getaddrinfo tells no time to live
constexpr Duration kAfterFailure = 5s;

}  // namespace

Names::Names(EventLoop& loop, Registry& registry, EventLog& events, std::function<void()> changed)
    : loop_(loop),
      registry_(registry),
      events_(events),
      changed_(std::move(changed)),
      resolver_(loop) {}

void Names::configure() {
    const auto wanted = registry_.lookups();
    std::erase_if(watches_, [&](const auto& entry) { return !wanted.contains(entry.first); });
    for (const auto& name : wanted) {
        const auto [watch, fresh] = watches_.try_emplace(name);
        if (fresh) watch->second.again = Timer(loop_, [this, name] { ask(name); });
        ask(name);
    }
}

void Names::ask(const std::string& name) {
    resolver_.resolve(name, [this, name](Result<std::vector<Address>> found) {
        answered(name, std::move(found));
    });
}

void Names::answered(const std::string& name, Result<std::vector<Address>> found) {
    const auto watch = watches_.find(name);
    if (watch == watches_.end()) return;  // the configuration has forgotten it
    watch->second.again.after(found ? kEvery : kAfterFailure);
    const Resolved before = registry_.resolved(name);
    const bool was_failing = std::exchange(watch->second.failing, !found);
    if (!found) {
        registry_.setResolved(name, {before.address, found.error().message});
        if (!was_failing)
            events_.add("", "", "names",
                        name + ": " + found.error().message + "; " +
                            (before.address.valid() ? before.address.text() + " stays in use"
                                                    : "its backends get no requests until it is"),
                        {{"code", std::string(regrow::name(found.error().code))}});
        return;
    }
    const Address now = chooseAddress(*found, before.address);
    registry_.setResolved(name, {now, ""});
    if (was_failing && now == before.address)
        events_.add("", "", "names", name + " is found again, at " + now.text());
    if (now == before.address) return;
    events_.add("", "", "names",
                name + " is " + now.text() +
                    (before.address.valid() ? ", was " + before.address.text() : ""));
    changed_();
}

}  // namespace regrow::control
