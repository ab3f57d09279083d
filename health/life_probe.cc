#include "health/life_probe.h"

#include <fmt/core.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"
#include "health/probe.h"

namespace regrow::health {
namespace {

using namespace std::chrono_literals;

constexpr Duration kLeastPatience = 2s;
constexpr int kTimeouts = 4;
constexpr Duration kAgain = 200ms;  // after a refusal

std::string requestFor(std::string_view what, const std::string& host) {
    return fmt::format(
        "{} HTTP/1.1\r\nHost: {}\r\nUser-Agent: regrow-check\r\nAccept: */*\r\nConnection: "
        "close\r\n\r\n",
        what, host);
}

}  // namespace

Duration lifePatience(const std::vector<conf::Check>& checks) {
    Duration longest{};
    for (const auto& check : checks) longest = std::max(longest, Duration(check.timeout));
    return std::max(kLeastPatience, longest * kTimeouts);
}

// One connection: the request out, then the first byte in.
class LifeProbe::Attempt final : private Probe {
  public:
    Attempt(EventLoop& loop, const Address& address, Duration timeout, std::string request)
        : Probe(loop, address, timeout), request_(std::move(request)) {}
    using Probe::start;

  private:
    void connected() override { send(); }
    void ready() override { sent_ < request_.size() ? send() : receive(); }
    bool heard() const override { return false; }

    void send() {
        const ssize_t n =
            ::send(fd(), request_.data() + sent_, request_.size() - sent_, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) return finishErrno(errno, "sending");
        if (n > 0) sent_ += static_cast<size_t>(n);
        await(sent_ < request_.size() ? Wait::write : Wait::read);
    }

    void receive() {
        char buffer[512];
        const ssize_t n = ::recv(fd(), buffer, sizeof buffer, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (n < 0) return finishErrno(errno, "receiving");
        if (n == 0) return finish(Outcome::no_answer, "closed without a byte");
        finish(Outcome::pass, "it answers");
    }

    std::string request_;
    size_t sent_ = 0;
};

LifeProbe::LifeProbe(EventLoop& loop, const Address& address,
                     const std::vector<conf::Check>& checks)
    : loop_(loop), address_(address), patience_(lifePatience(checks)) {
    std::string host = address.isUnix() ? "localhost" : address.text();
    for (const auto& check : checks) {
        if (check.kind != conf::CheckKind::http) continue;
        if (!check.http_host.empty()) host = check.http_host;
        requests_.push_back(requestFor("GET " + check.http_path, host));
        break;
    }
    requests_.push_back(requestFor("OPTIONS *", host));
    attempts_.resize(requests_.size());
    again_.resize(requests_.size());
}

LifeProbe::~LifeProbe() = default;

void LifeProbe::start(Done done) {
    done_ = std::move(done);
    started_ = Mono::now();
    over_ = Timer(loop_, [this] { expired(); });
    over_.after(patience_);
    for (size_t i = 0; i < requests_.size(); ++i) ask(i);
}

void LifeProbe::ask(size_t which) {
    const Duration left = started_ + patience_ - Mono::now();
    if (left <= Duration{}) return;
    attempts_[which] = std::make_unique<Attempt>(loop_, address_, left, requests_[which]);
    attempts_[which]->start(
        [this, which](const CheckResult& result) { attempted(which, result.outcome); });
}

void LifeProbe::attempted(size_t which, Outcome outcome) {
    const auto ended = std::move(attempts_[which]);  // it is on the stack
    if (outcome == Outcome::pass)
        return finish(Outcome::pass,
                      fmt::format("it answers, after {}", formatDuration(Mono::now() - started_)));
    hindered_ = hindered_ || outcome == Outcome::not_run;
    again_[which] = Timer(loop_, [this, which] { ask(which); });
    again_[which].after(kAgain);
}

void LifeProbe::expired() {
    finish(hindered_ ? Outcome::not_run : Outcome::no_answer,
           fmt::format("not one byte within {}", formatDuration(patience_)));
}

void LifeProbe::finish(Outcome outcome, std::string text) {
    over_.cancel();
    for (auto& timer : again_) timer.cancel();
    for (auto& attempt : attempts_) attempt.reset();  // the other one has nothing to add
    auto done = std::move(done_);
    done(outcome, std::move(text));  // may destroy *this
}

}  // namespace regrow::health
