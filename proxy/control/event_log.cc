#include "proxy/control/event_log.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"

namespace regrow::control {
namespace {

constexpr off_t kTail = 4 << 20;  // how much of an existing log is read back

std::string sha256Hex(std::string_view bytes) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    EVP_Digest(bytes.data(), bytes.size(), digest, &length, EVP_sha256(), nullptr);
    return toHex({reinterpret_cast<const char*>(digest), length});
}

// The last kTail bytes, from the first whole line on.
Result<std::string> readTail(int fd, off_t size) {
    const off_t from = std::max<off_t>(0, size - kTail);
    std::string tail(static_cast<size_t>(size - from), '\0');
    const ssize_t n = ::pread(fd, tail.data(), tail.size(), from);
    if (n < 0) return failErrno(errno, "reading the audit log");
    tail.resize(static_cast<size_t>(n));
    if (from > 0) tail.erase(0, std::min(tail.size(), tail.find('\n') + 1));
    return tail;
}

std::string area(const Event& event) {
    std::string where = event.kind;
    if (!event.pool.empty()) where += " " + event.pool;
    if (!event.backend.empty()) where += "/" + event.backend;
    return where;
}

}  // namespace

std::string eventJson(const Event& event, const std::string& previous_hash) {
    json::Writer w;
    w.beginObject().field("seq", event.seq).field("time", formatTime(event.time));
    w.field("pool", event.pool)
        .field("backend", event.backend)
        .field("kind", event.kind)
        .field("text", event.text);
    w.key("details").beginObject();
    for (const auto& [key, value] : event.details) w.field(key, value);
    w.endObject();
    if (!previous_hash.empty()) w.field("prev", previous_hash);
    return w.endObject().text();
}

Result<Event> parseEvent(std::string_view line) {
    REGROW_TRY(const auto document, json::parse(line));
    const auto seq = json::getUint(document, "seq");
    const auto time = json::getString(document, "time");
    if (!seq || !time)
        return fail(Code::corrupt, Source::disk, "an audit line without seq or time");
    REGROW_TRY(const auto when, parseTime(*time));
    Event event{.seq = *seq,
                .time = when,
                .pool = {},
                .backend = {},
                .kind = {},
                .text = {},
                .details = {}};
    event.pool = json::getString(document, "pool").value_or("");
    event.backend = json::getString(document, "backend").value_or("");
    event.kind = json::getString(document, "kind").value_or("");
    event.text = json::getString(document, "text").value_or("");
    if (const auto* details = json::getObject(document, "details"))
        for (const auto& member : details->GetObject())
            if (member.value.IsString())
                event.details.emplace_back(member.name.GetString(), member.value.GetString());
    return event;
}

Result<> EventLog::openAuditLog(const std::string& path) {
    path_ = path;
    REGROW_TRY(file_, openFile(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW, 0600));
    struct stat st{};
    if (::fstat(file_.get(), &st) != 0) return failErrno(errno, path);
    file_size_ = static_cast<uint64_t>(st.st_size);
    REGROW_TRY(const std::string tail, readTail(file_.get(), st.st_size));
    std::string_view rest = tail;
    bool broken = false;
    while (!rest.empty()) {
        const auto newline = rest.find('\n');
        const auto line = rest.substr(0, newline);
        rest = newline == std::string_view::npos ? std::string_view() : rest.substr(newline + 1);
        const auto event = parseEvent(line);
        const std::string link = last_hash_.empty() ? "" : "\"prev\":\"" + last_hash_ + "\"";
        if (!event || line.find(link) == std::string_view::npos) broken = true;
        last_hash_ = sha256Hex(line);
        if (!event) continue;
        last_seq_ = std::max(last_seq_, event->seq);
        events_.push_back(*event);
        if (events_.size() > kKept) events_.pop_front();
    }
    if (!tail.empty() && tail.back() != '\n')
        REGROW_CHECK(writeAll(file_.get(), "\n", path));  // a line cut off by a crash
    if (broken)
        add("", "", "audit",
            "the audit log " + path +
                " was changed or cut: a line does not follow from the one before it");
    return {};
}

void EventLog::add(std::string pool, std::string backend, std::string kind, std::string text,
                   std::vector<std::pair<std::string, std::string>> details) {
    add(Event{0,
              {},
              std::move(pool),
              std::move(backend),
              std::move(kind),
              std::move(text),
              std::move(details)});
}

void EventLog::add(Event event) {
    event.seq = ++last_seq_;
    event.time = clock_.wallNow();
    log::info(area(event), "{}", event.text);
    append(event);
    events_.push_back(event);
    if (events_.size() > kKept) events_.pop_front();
    const auto listeners = *subscribers_;  // a listener may leave while it is told
    for (const auto& [id, listener] : listeners) listener(event);
}

void EventLog::append(const Event& event) {
    if (!file_) return;
    rotateIfLarge();
    const std::string line =
        eventJson(event, last_hash_.empty() ? std::string(64, '0') : last_hash_);
    const auto written = writeAll(file_.get(), line + "\n", path_);
    if (!written && !write_failed_)
        log::error("audit", "{}; events are kept in memory only until it can be written again",
                   written.error().message);
    write_failed_ = !written;
    if (!written) return;
    last_hash_ = sha256Hex(line);
    file_size_ += line.size() + 1;
}

// One generation is kept beside it; the chain goes on in the new file.
void EventLog::rotateIfLarge() {
    if (file_size_ < kRotateAt) return;
    if (std::rename(path_.c_str(), (path_ + ".1").c_str()) != 0) return;
    if (auto fresh = openFile(path_, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW, 0600)) {
        file_ = std::move(*fresh);
        file_size_ = 0;
    }
}

std::vector<Event> EventLog::select(const std::string& pool, const std::string& backend,
                                    uint64_t since) const {
    std::vector<Event> chosen;
    for (const auto& event : events_)
        if (event.seq > since && (pool.empty() || event.pool == pool) &&
            (backend.empty() || event.backend == backend))
            chosen.push_back(event);
    return chosen;
}

std::shared_ptr<void> EventLog::subscribe(std::function<void(const Event&)> listener) {
    const uint64_t id = next_subscriber_++;
    (*subscribers_)[id] = std::move(listener);
    return {nullptr, [id, weak = std::weak_ptr(subscribers_)](void*) {
                if (const auto all = weak.lock()) all->erase(id);
            }};
}

void EventLog::sync() {
    if (file_) ::fdatasync(file_.get());
}

}  // namespace regrow::control
