#include "base/resolver.h"

#include <netdb.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace regrow {
namespace {

constexpr int kThreads = 4;  // names of a dead server must not hold up those of the others

struct Task {
    std::string name;
    std::function<void(Result<std::vector<Address>>)> tell;  // on the loop
};

}  // namespace

struct Resolver::Shared {
    std::mutex mutex;
    std::condition_variable news;
    std::deque<Task> tasks;
    EventLoop* loop = nullptr;  // nullptr: the resolver is gone
    size_t idle = 0;

    // One of the threads, until the resolver is gone.
    void work() {
        std::unique_lock lock(mutex);
        while (true) {
            ++idle;
            news.wait(lock, [&] { return !loop || !tasks.empty(); });
            --idle;
            if (!loop) return;
            Task task = std::move(tasks.front());
            tasks.pop_front();
            lock.unlock();
            auto found = lookUp(task.name);
            lock.lock();
            if (!loop) return;
            loop->post([tell = std::move(task.tell), answer = std::move(found)]() mutable {
                tell(std::move(answer));
            });
        }
    }
};

Result<std::vector<Address>> lookUp(const std::string& name_and_port) {
    const auto colon = name_and_port.rfind(':');
    const std::string host = name_and_port.substr(0, colon);
    const std::string port =
        colon == std::string::npos ? std::string() : name_and_port.substr(colon + 1);
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV;
    addrinfo* list = nullptr;
    const int error = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &list);
    if (error != 0)
        return fail(Code::unavailable, Source::upstream,
                    "'" + host + "' cannot be looked up: " +
                        (error == EAI_SYSTEM ? failErrno(errno, "resolver").error().message
                                             : std::string(::gai_strerror(error))));
    std::vector<Address> found;
    for (const addrinfo* at = list; at; at = at->ai_next) {
        const Address address = Address::fromSockaddr(at->ai_addr, at->ai_addrlen);
        if (std::ranges::find(found, address) == found.end()) found.push_back(address);
    }
    ::freeaddrinfo(list);
    if (found.empty())
        return fail(Code::not_found, Source::upstream, "'" + host + "' has no address");
    return found;
}

const Address& chooseAddress(const std::vector<Address>& found, const Address& current) {
    const auto same = std::ranges::find(found, current);
    return same == found.end() ? found.front() : *same;
}

Resolver::Resolver(EventLoop& loop) : shared_(std::make_shared<Shared>()) {
    shared_->loop = &loop;
}

Resolver::~Resolver() {
    const std::lock_guard lock(shared_->mutex);
    shared_->loop = nullptr;
    shared_->news.notify_all();
}

void Resolver::resolve(const std::string& name_and_port, Done done) {
    const std::lock_guard lock(shared_->mutex);
    shared_->tasks.push_back(
        {name_and_port, [alive = std::weak_ptr(alive_), then = std::move(done)](auto answer) {
             if (!alive.expired()) then(std::move(answer));
         }});
    shared_->news.notify_one();
    if (shared_->idle >= shared_->tasks.size() || threads_ == kThreads) return;
    ++threads_;
    // Signals are for the main thread.
    sigset_t all, before;
    sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, &before);
    std::thread([shared = shared_] { shared->work(); }).detach();
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace regrow
