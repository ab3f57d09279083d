#include "proxy/control/event_log.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

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

std::string detail(const Event& event, std::string_view key) {
    for (const auto& [name, value] : event.details)
        if (name == key) return value;
    return "";
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

log::Level levelOf(const Event& event) {
    const auto is = [&](std::string_view key, std::string_view value) {
        return detail(event, key) == value;
    };
    if (event.kind == "alarm") return log::Level::error;
    const bool left_up = is("from", "up") || is("to", "down");
    const bool stuck = is("state", "held") || is("state", "failed");
    if (event.kind == "audit" || (event.kind == "health" && left_up) ||
        (event.kind == "recovery" && stuck) || !detail(event, "code").empty())
        return log::Level::warn;
    return log::Level::info;
}

Result<> EventLog::openAuditLog(const std::string& path, uint64_t written) {
    path_ = path;
    last_seq_ = written_seq_ = written;
    auto file = openFile(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW, 0600);
    if (!file && file.error().code == Code::no_space) {
        log::warn("audit", "{}; events are kept in memory only until there is room",
                  file.error().message);
        return {};
    }
    if (!file) return std::unexpected(std::move(file).error());
    file_ = std::move(*file);
    struct stat st{};
    if (::fstat(file_.get(), &st) != 0) return failErrno(errno, path);
    file_size_ = static_cast<uint64_t>(st.st_size);
    last_seq_ = 0;
    REGROW_TRY(const std::string tail, readTail(file_.get(), st.st_size));
    end_line_ = !tail.empty() && tail.back() != '\n';
    if (tail.empty()) readPutAside();  // a crash right after it was put aside
    const auto damaged = readBack(tail);
    const uint64_t read = last_seq_;
    last_seq_ = written_seq_ = std::max(read, written);
    if (!damaged.empty()) reportDamage(damaged, end_line_ && damaged.back() == last_hash_);
    if (read < written)
        add("", "", "audit",
            "the audit log " + path + " ends at event " + std::to_string(read) + ", although " +
                std::to_string(written) +
                " were written: it was emptied, cut or put elsewhere. The rest is gone unless a "
                "copy is kept; what Regrow decides does not depend on it",
            {{"read", std::to_string(read)}, {"written", std::to_string(written)}});
    return {};
}

// Takes the events in; the hashes of lines that do not follow from the one before them and were
// not reported yet.
std::vector<std::string> EventLog::readBack(std::string_view tail) {
    std::vector<std::string> odd;
    std::string reported;
    while (!tail.empty()) {
        const auto newline = tail.find('\n');
        const auto line = tail.substr(0, newline);
        tail = newline == std::string_view::npos ? std::string_view() : tail.substr(newline + 1);
        const auto event = parseEvent(line);
        const std::string link = last_hash_.empty() ? "" : "\"prev\":\"" + last_hash_ + "\"";
        last_hash_ = sha256Hex(line);
        if (!event || line.find(link) == std::string_view::npos) odd.push_back(last_hash_);
        if (!event) continue;
        if (event->kind == "audit")
            for (const auto& [key, value] : event->details)
                if (key == "lines") reported += value + " ";
        last_seq_ = std::max(last_seq_, event->seq);
        events_.push_back(*event);
        if (events_.size() > kKept) events_.pop_front();
    }
    std::erase_if(odd, [&](const std::string& hash) { return reported.contains(hash + " "); });
    return odd;
}

void EventLog::readPutAside() {
    struct stat st{};
    const auto file = openFile(path_ + ".1", O_RDONLY | O_NOFOLLOW);
    if (!file || ::fstat(file->get(), &st) != 0) return;
    if (const auto tail = readTail(file->get(), st.st_size)) readBack(*tail);
}

void EventLog::reportDamage(const std::vector<std::string>& lines, bool cut) {
    std::string hashes;
    for (const auto& hash : lines) hashes += (hashes.empty() ? "" : " ") + hash;
    const std::string what =
        cut && lines.size() == 1
            ? " ends in a line that a crash cut off; the chain goes on behind it, nothing is to be "
              "done"
            : " was changed or cut: a line does not follow from the one before it. Compare it with "
              "a copy; what Regrow decides does not depend on it, and the chain goes on";
    add("", "", "audit", "the audit log " + path_ + what, {{"lines", hashes}});
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
    const auto level = levelOf(event);
    if (log::enabled(level)) log::write(level, area(event), event.text);
    append(event);
    events_.push_back(event);
    if (events_.size() > kKept) events_.pop_front();
    const auto listeners = *subscribers_;  // a listener may leave while it is told
    for (const auto& [id, listener] : listeners) listener(event);
}

void EventLog::append(const Event& event) {
    if (path_.empty()) return;
    rotateIfLarge();
    const std::string line =
        eventJson(event, last_hash_.empty() ? std::string(64, '0') : last_hash_);
    if (const auto written = write(line); !written) {
        if (unwritten_++ == 0)
            log::error("audit", "{}; events are kept in memory only until it can be written again",
                       written.error().message);
        return;
    }
    if (unwritten_ > 0)
        log::warn("audit", "{} takes events again, {} are missing in it", path_,
                  std::exchange(unwritten_, 0));
    last_hash_ = sha256Hex(line);
    written_seq_ = event.seq;
}

// All of the line or nothing: half a line would be damage to whoever reads it back.
Result<> EventLog::write(const std::string& line) {
    if (!file_) {
        REGROW_TRY(file_, openFile(path_, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW, 0600));
        const off_t size = ::lseek(file_.get(), 0, SEEK_END);
        file_size_ = static_cast<uint64_t>(std::max<off_t>(size, 0));
    }
    const std::string text = (end_line_ ? "\n" : "") + line + "\n";
    auto written = writeAll(file_.get(), text, path_);
    if (!written) {
        if (::ftruncate(file_.get(), static_cast<off_t>(file_size_)) != 0) end_line_ = true;
        return written;
    }
    end_line_ = false;
    file_size_ += text.size();
    return {};
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
