#include "health/life_probe.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/text.h"
#include "health/probe.h"

namespace regrow::health {
namespace {

using namespace std::chrono_literals;

constexpr Duration kLeastPatience = 2s;
constexpr int kTimeouts = 4;
constexpr Duration kAgain = 200ms;  // after a refusal

// What a client of HTTP/2 begins with, and empty SETTINGS: every server that lives answers with its
// own (RFC 9113 3.4).
constexpr std::string_view kHttp2Greeting("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33);

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
    Attempt(EventLoop& loop, const Address& address, Duration timeout, std::string request,
            Speech speech)
        : Probe(loop, address, timeout, std::move(speech)), request_(std::move(request)) {}
    using Probe::start;

  private:
    void connected() override { ask(); }
    void ready() override { sent_ < request_.size() ? ask() : listen(); }
    bool heard() const override { return false; }

    void ask() {
        const IoResult r = send(std::string_view(request_).substr(sent_));
        if (r.kind == IoResult::Kind::failed) return finishErrno(r.error, "sending");
        sent_ += r.bytes;
        await(sent_ < request_.size() ? Wait::write : Wait::read);
    }

    void listen() {
        std::string heard;
        const IoResult r = receive(heard);
        if (r.kind == IoResult::Kind::would_block) return;
        if (r.kind == IoResult::Kind::failed) return finishErrno(r.error, "receiving");
        if (r.kind == IoResult::Kind::closed)
            return finish(Outcome::no_answer, "closed without a byte");
        finish(Outcome::pass, "it answers");
    }

    std::string request_;
    size_t sent_ = 0;
};

LifeProbe::LifeProbe(EventLoop& loop, const Address& address,
                     const std::vector<conf::Check>& checks, Speech speech)
    : loop_(loop), address_(address), speech_(std::move(speech)), patience_(lifePatience(checks)) {
    if (speech_.http2) requests_.emplace_back(kHttp2Greeting);
    std::string host = address.isUnix() ? "localhost" : address.text();
    for (const auto& check : checks) {
        if (check.kind != conf::CheckKind::http || speech_.http2) continue;
        if (!check.http_host.empty()) host = check.http_host;
        requests_.push_back(requestFor("GET " + check.http_path, host));
        break;
    }
    if (!speech_.http2) requests_.push_back(requestFor("OPTIONS *", host));
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
    attempts_[which] = std::make_unique<Attempt>(loop_, address_, left, requests_[which], speech_);
    attempts_[which]->start(
        [this, which](const CheckResult& result) { attempted(which, result.outcome); });
}

void LifeProbe::attempted(size_t which, Outcome outcome) {
    const auto ended = std::move(attempts_[which]);  // it is on the stack
    // A handshake that goes wrong is an answer too.
    if (outcome == Outcome::pass || outcome == Outcome::bad_answer)
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
