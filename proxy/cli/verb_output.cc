#include "proxy/cli/verb_output.h"

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/text.h"

namespace regrow::cli {
namespace {

constexpr Duration kEvery = std::chrono::milliseconds(100);

void printLine(FILE* to, std::string_view line) {
    fmt::print(to, "{}\n", line);
    std::fflush(to);
}

int terminalWidth() {
    winsize size{};
    return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

std::string bar(double share) {
    constexpr int kWidth = 24;
    const int full = static_cast<int>(std::clamp(share, 0.0, 1.0) * kWidth);
    return std::string(static_cast<size_t>(full), '#') +
           std::string(static_cast<size_t>(kWidth - full), '-');
}

std::string padded(std::string text, size_t width, bool right) {
    if (text.size() >= width) return text;
    return right ? std::string(width - text.size(), ' ') + text
                 : text + std::string(width - text.size(), ' ');
}

std::string forPeople(WallTime t) {  // "2026-11-22 20:03:33"
    std::string text = formatTime(t).substr(0, 19);
    if (text.size() > 10) text[10] = ' ';
    return text;
}

}  // namespace

VerbOutput::VerbOutput(bool as_json, std::FILE* out)
    : out_(out),
      json_(as_json),
      terminal_(!as_json && ::isatty(STDERR_FILENO) == 1),
      started_(Mono::now()) {}

VerbOutput::~VerbOutput() {
    clearBar();
}

backup::OnProgress VerbOutput::onProgress() {
    return [this](const backup::Progress& p) { progress(p); };
}

void VerbOutput::progress(const backup::Progress& p) {
    if (!json_ && !terminal_) return;
    const std::scoped_lock lock(mutex_);
    const Instant now = Mono::now();
    if (now - told_ < kEvery) return;
    told_ = now;
    if (phase_ != p.phase) phase_ = p.phase, phase_started_ = now;
    if (!json_) return drawBar(p);
    json::Writer w;
    w.beginObject()
        .field("type", "progress")
        .field("phase", p.phase)
        .field("done_bytes", p.done_bytes);
    w.field("total_bytes", p.total_bytes)
        .field("done_files", p.done_files)
        .field("total_files", p.total_files);
    w.endObject();
    printLine(out_, w.text());
}

void VerbOutput::drawBar(const backup::Progress& p) {
    const double share =
        p.total_bytes ? static_cast<double>(p.done_bytes) / static_cast<double>(p.total_bytes) : 0;
    const double seconds = std::max(0.001, toSeconds(Mono::now() - phase_started_));
    const auto rate = static_cast<uint64_t>(static_cast<double>(p.done_bytes) / seconds);
    std::string line =
        fmt::format("{:<8} [{}] {:3.0f} %  {} of {}  {}/s", p.phase, bar(share), share * 100,
                    humanSize(p.done_bytes), humanSize(p.total_bytes), humanSize(rate));
    if (rate && p.total_bytes > p.done_bytes)
        line +=
            fmt::format("  {} left",
                        humanDuration(std::chrono::seconds((p.total_bytes - p.done_bytes) / rate)));
    line.resize(std::min(line.size(), static_cast<size_t>(terminalWidth() - 1)));
    fmt::print(stderr, "\r\x1b[K{}", line);
    std::fflush(stderr);
    bar_drawn_ = true;
}

void VerbOutput::clearBar() {
    if (!bar_drawn_) return;
    fmt::print(stderr, "\r\x1b[K");
    std::fflush(stderr);
    bar_drawn_ = false;
}

json::Writer& VerbOutput::beginResult(json::Writer& w, bool ok) {
    return w.beginObject().field("type", "result").field("ok", ok);
}

void VerbOutput::item(json::Writer& whole) {
    const std::scoped_lock lock(mutex_);
    if (json_) printLine(out_, whole.text());
}

void VerbOutput::result(json::Writer& begun) {
    begun.endObject();
    if (json_) printLine(out_, begun.text());
}

void VerbOutput::say(std::string_view line) {
    const std::scoped_lock lock(mutex_);
    clearBar();
    if (!json_) printLine(out_, line);
}

void VerbOutput::warn(std::string_view line) {
    const std::scoped_lock lock(mutex_);
    clearBar();
    printLine(stderr, line);
}

int VerbOutput::failure(const Error& error) {
    warn("regrow: " + error.message);
    if (json_) {
        json::Writer w;
        w.beginObject()
            .field("type", "error")
            .field("code", name(error.code))
            .field("source", name(error.source));
        w.field("retryable", error.retryable).field("message", error.message).endObject();
        printLine(out_, w.text());
    }
    // What exists already would be lost by writing over it.
    return error.code == Code::refused || error.code == Code::exists ? kRefused : kFailed;
}

double VerbOutput::tookMs() const {
    return toMs(Mono::now() - started_);
}

std::string notAnInstant(const std::string& text) {
    const bool id = text.size() >= 4 && text.size() <= 64 &&
                    text.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (id || text == "latest" || parseTime(text)) return "";
    return fmt::format(
        "'{}' is neither a snapshot's id (4 hex digits and up) nor a time like "
        "2026-11-22T20:03:33Z",
        text);
}

void writeSnapshot(json::Writer& w, const backup::Snapshot& snapshot) {
    const backup::SnapshotHeader& h = snapshot.header;
    w.beginObject()
        .field("id", backup::hexOf(snapshot.id))
        .field("short_id", snapshot.shortId())
        .field("name", h.name);
    w.field("number", h.number)
        .field("epoch", h.epoch)
        .field("lineage", h.lineage)
        .field("time", formatTime(h.captured_at));
    w.field("type", h.type == backup::SnapshotType::full ? "full" : "incremental")
        .field("bytes", h.bytes);
    w.field("files", h.files).field("new_bytes", h.new_bytes).field("stored_bytes", h.stored_bytes);
    w.field("proven", snapshot.proven).field("incomplete", (h.flags & backup::kIncomplete) != 0);
    w.field("suspicious", (h.flags & backup::kSuspicious) != 0)
        .field("rescue", (h.flags & backup::kRescue) != 0);
    w.field("host", h.host).field("source", h.source).key("problems").beginArray();
    for (const std::string& problem : h.problems) w.value(problem);
    w.endArray().endObject();
}

std::string flagsText(const backup::Snapshot& snapshot) {
    std::string text;
    const auto add = [&](bool set, std::string_view word) {
        if (set) text += (text.empty() ? "" : ", ") + std::string(word);
    };
    add(!snapshot.proven, "not proven");
    add((snapshot.header.flags & backup::kIncomplete) != 0, "incomplete");
    add((snapshot.header.flags & backup::kSuspicious) != 0, "held back");
    add((snapshot.header.flags & backup::kRescue) != 0, "rescue");
    return text;
}

std::string snapshotTable(const std::vector<backup::Snapshot>& snapshots) {
    using Row = std::vector<std::string>;
    std::vector<Row> rows{
        {"ID", "Time (UTC)", "Name", "No.", "Type", "Files", "Size", "New", "Notes"}};
    for (const backup::Snapshot& s : snapshots)
        rows.push_back({s.shortId(), forPeople(s.header.captured_at), s.header.name,
                        std::to_string(s.header.number),
                        s.header.type == backup::SnapshotType::full ? "full" : "incr",
                        std::to_string(s.header.files), humanSize(s.header.bytes),
                        humanSize(s.header.new_bytes), flagsText(s)});
    std::vector<size_t> widths(rows[0].size());
    for (const Row& row : rows)
        for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    std::string out;
    size_t total = 0;
    for (const size_t width : widths) total += width + 2;
    const std::string rule(total - 2, '-');
    for (size_t r = 0; r < rows.size(); ++r) {
        std::string line;
        for (size_t i = 0; i < rows[r].size(); ++i)
            line += padded(rows[r][i], widths[i], i == 3 || (i >= 5 && i <= 7)) + "  ";
        line.erase(line.find_last_not_of(' ') + 1);
        out += line + "\n" + (r == 0 ? rule + "\n" : "");
    }
    return out + rule +
           fmt::format("\n{} snapshot{}", snapshots.size(), snapshots.size() == 1 ? "" : "s");
}

}  // namespace regrow::cli
