#include "health/http_checker.h"

#include <fmt/core.h>

#include <algorithm>

namespace regrow::health {
namespace {

constexpr size_t kHeadLimit = 16 * 1024;  // bytes
constexpr int kInterimLimit = 8;
constexpr size_t kDrainLimit = 64 * 1024;                      // bytes of body
constexpr Duration kPatience = std::chrono::milliseconds(50);  // for the rest of the body

}  // namespace

HttpChecker::HttpChecker(EventLoop& loop, const Address& address, const conf::Check& check,
                         Speech speech)
    : Probe(loop, address, check.timeout, std::move(speech)),
      loop_(loop),
      request_(fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: regrow-check\r\nAccept: "
                           "*/*\r\nConnection: close\r\n\r\n",
                           check.http_path, hostOf(address, check))),
      check_(check) {}

void HttpChecker::connected() {
    ask();
}

void HttpChecker::ready() {
    if (sent_ < request_.size())
        ask();
    else if (judged_)
        drain();
    else
        listen();
}

void HttpChecker::ask() {
    const IoResult r = send(std::string_view(request_).substr(sent_));
    if (r.kind == IoResult::Kind::failed) return finishErrno(r.error, "sending");
    sent_ += r.bytes;
    await(sent_ < request_.size() ? Wait::write : Wait::read);
}

void HttpChecker::listen() {
    switch (const IoResult r = receive(received_); r.kind) {
        case IoResult::Kind::bytes: return parse();
        case IoResult::Kind::would_block: return;
        case IoResult::Kind::closed: return closed();
        case IoResult::Kind::failed: return finishErrno(r.error, "receiving");
    }
}

void HttpChecker::closed() {
    if (!heard())
        finish(Outcome::no_answer, "connection closed without a byte");
    else
        finish(
            Outcome::bad_answer,
            fmt::format("connection closed within the answer's head ({} bytes)", received_.size()));
}

// 1xx answers come before the one that counts; 101 was not asked for and counts as it is.
void HttpChecker::parse() {
    while (true) {
        const auto parsed = parser_.parse(received_, head_, {.head_bytes = kHeadLimit});
        if (parsed.outcome == http::Outcome::error)
            return finish(Outcome::bad_answer,
                          fmt::format("not HTTP: {}", http::textOf(parsed.flaw)));
        if (parsed.outcome == http::Outcome::need_more) break;
        if (!head_.interim()) return judge(parsed.bytes);
        received_.erase(0, parsed.bytes);
        parser_.reset();
        if (++interim_ > kInterimLimit)
            return finish(Outcome::bad_answer, "more than 8 interim answers");
    }
}

void HttpChecker::judge(size_t head_bytes) {
    verdict_ = judgeStatus(head_.status, check_);
    const auto body = head_.bodyFor(http::Method::get);
    const size_t here = received_.size() - head_bytes;
    drain_ = body.kind == http::BodyKind::none     ? 0
             : body.kind == http::BodyKind::length ? std::min<uint64_t>(body.length, kDrainLimit)
                                                   : kDrainLimit;
    if (here >= drain_) return finish(verdict_.outcome, verdict_.text);
    drain_ -= here;
    judged_ = true;
    patience_ = Timer(loop_, [this] { finish(verdict_.outcome, verdict_.text); });
    patience_.after(kPatience);
}

// Nobody reads the body; but a server that is still sending it when we close would log an error for
// each check.
void HttpChecker::drain() {
    received_.clear();
    const IoResult r = receive(received_);
    if (r.kind == IoResult::Kind::would_block) return;
    if (r.kind != IoResult::Kind::bytes || r.bytes >= drain_)
        return finish(verdict_.outcome, verdict_.text);
    drain_ -= r.bytes;
}

}  // namespace regrow::health
