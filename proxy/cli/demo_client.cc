#include "proxy/cli/demo_client.h"

#include <fmt/core.h>

#include "base/http_client.h"
#include "base/random.h"

namespace regrow::cli {
namespace {

using namespace std::chrono_literals;

constexpr Duration kPatience = 60s;  // longer than any hold: a slow answer is not a failed one
constexpr Duration kPause = 40ms;    // between the requests of one visitor
constexpr int kWriters = 2;
constexpr int kReaders = 2;
// "demo" with an empty password: Radicale believes any name here, and needs one to know whose
// calendar it is.
constexpr const char* kUser = "Authorization: Basic ZGVtbzo=";

std::string target(int item) {
    return fmt::format("/demo/calendar/item-{}.ics", item);
}

std::string summary(int item) {
    return fmt::format("appointment number {}", item);
}

std::string content(int item) {
    return fmt::format(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//regrow//demo//"
        "EN\r\nBEGIN:VEVENT\r\nUID:item-{0}\r\n"
        "DTSTAMP:20260101T000000Z\r\nDTSTART:20260101T000000Z\r\nSUMMARY:{1}\r\nEND:VEVENT\r\nEND:"
        "VCALENDAR\r\n",
        item, summary(item));
}

bool hasLine(std::string_view text, std::string_view wanted) {
    while (!text.empty()) {
        const size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line == wanted) return true;
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return false;
}

}  // namespace

bool isItem(std::string_view body, int item) {
    return hasLine(body, fmt::format("UID:item-{}", item)) &&
           hasLine(body, "SUMMARY:" + summary(item));
}

DemoClient::DemoClient(std::string address) : address_(std::move(address)) {}
DemoClient::~DemoClient() {
    stop();
}

Result<> DemoClient::open(Duration patience, const std::function<bool()>& cancelled) {
    HttpClient session(address_);
    const Instant until = Mono::now() + patience;
    while (true) {
        if (cancelled()) return fail(Code::cancelled, Source::us, "interrupted");
        const auto made = session.call("MKCALENDAR", "/demo/calendar/", 5s, {kUser});
        if (made && (made->status == 201 || made->status == 409 || made->status == 405)) return {};
        if (Mono::now() > until)
            return fail(Code::timeout, Source::upstream,
                        made ? fmt::format("the calendar cannot be made: HTTP {}", made->status)
                             : made.error().message);
        std::this_thread::sleep_for(100ms);
    }
}

void DemoClient::begin() {
    for (int i = 0; i < kWriters; ++i) threads_.emplace_back([this, i] { write(i + 1); });
    for (int i = 0; i < kReaders; ++i) threads_.emplace_back([this, i] { read(i); });
}

void DemoClient::stop() {
    stopping_ = true;
    for (auto& thread : threads_)
        if (thread.joinable()) thread.join();
}

Visit DemoClient::visit(int item, bool write, HttpClient& session) {
    Visit visit{.item = item,
                .write = write,
                .sent = Mono::now(),
                .answered = {},
                .answered_wall = {},
                .status = 0,
                .error = {}};
    const std::string body = write ? content(item) : "";
    const auto answer = session.call(write ? "PUT" : "GET", target(item), kPatience,
                                     {kUser, "Content-Type: text/calendar"}, body);
    visit.answered = Mono::now();
    visit.answered_wall = Wall::now();
    if (answer)
        visit.status = answer->status;
    else
        visit.error = answer.error().message;
    if (answer && !write && answer->status == 200 && !isItem(answer->body, item))
        visit.status = 599, visit.error = "another item's content";
    return visit;
}

void DemoClient::note(Visit visit) {
    const std::lock_guard lock(mutex_);
    if (visit.write && visit.good()) acknowledged_.push_back(visit.item);
    visits_.push_back(std::move(visit));
}

void DemoClient::write(int first) {
    HttpClient session(address_);
    for (int item = first; !stopping_; item += kWriters) {
        note(visit(item, true, session));
        std::this_thread::sleep_for(kPause);
    }
}

void DemoClient::read(int index) {
    HttpClient session(address_);
    Random random(static_cast<uint64_t>(index) + 1);
    while (!stopping_) {
        std::this_thread::sleep_for(kPause);
        int item = 0;
        {
            const std::lock_guard lock(mutex_);
            if (acknowledged_.empty()) continue;
            item = acknowledged_[random.below(acknowledged_.size())];
        }
        note(visit(item, false, session));
    }
}

std::vector<Visit> DemoClient::visits() const {
    const std::lock_guard lock(mutex_);
    return visits_;
}

size_t DemoClient::count() const {
    const std::lock_guard lock(mutex_);
    return visits_.size();
}

Result<bool> DemoClient::check(int item) {
    HttpClient session(address_);
    REGROW_TRY(const auto answer, session.call("GET", target(item), kPatience, {kUser}));
    if (answer.status == 200) return isItem(answer.body, item);
    if (answer.status == 404) return false;
    return fail(Code::io, Source::upstream,
                fmt::format("reading item {} back: HTTP {}", item, answer.status));
}

}  // namespace regrow::cli
