#pragma once

#include <cstdio>
#include <mutex>
#include <string>

#include "backup/progress.h"
#include "backup/snapshot_store.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/result.h"

// What a verb says: to a person (text on stdout, progress and errors on stderr) or, with --json, to
// a program:
//
//   {"type":"progress","phase":"read","done_bytes":…,"total_bytes":…,"done_files":…,"total_files":…}
//   at most 10 a second
//   {"type":"result","ok":true,…}   or
//   {"type":"error","code":"refused","source":"disk","retryable":false,"message":"…"}
//
// with exactly one last line of the second kind. One verb, one VerbOutput; progress() may come from
// any thread.
namespace regrow::cli {

enum ExitCode : int { kDone = 0, kFailed = 1, kUsage = 2, kRefused = 3 };

class VerbOutput {
  public:
    // `out` is where say() and --json go: stderr when stdout carries data.
    explicit VerbOutput(bool as_json, std::FILE* out = stdout);
    ~VerbOutput();

    bool json() const { return json_; }
    void progress(const backup::Progress& p);
    backup::OnProgress onProgress();

    // An object begun with type and ok; the verb adds fields and gives it to result().
    static json::Writer& beginResult(json::Writer& w, bool ok = true);
    void item(json::Writer& whole);    // only with --json: one of many, before the result
    void result(json::Writer& begun);  // only with --json
    void say(std::string_view line);   // only without
    void warn(std::string_view line);  // stderr, for people
    int failure(const Error& error);   // the exit code that fits
    double tookMs() const;

  private:
    void drawBar(const backup::Progress& p);
    void clearBar();

    std::FILE* out_;
    bool json_;
    bool terminal_;
    bool bar_drawn_ = false;
    Instant started_;
    Instant told_;
    Instant phase_started_;
    std::string phase_;
    std::mutex mutex_;
};

// What --at takes: latest, a time, or at least the first 4 digits of a snapshot's id. Empty: it is
// that; else what is wrong, for CLI11.
std::string notAnInstant(const std::string& text);

// {"id","short_id","name","number","epoch",…}: the same object wherever a snapshot is told.
void writeSnapshot(json::Writer& w, const backup::Snapshot& snapshot);
std::string snapshotTable(const std::vector<backup::Snapshot>& snapshots);
std::string flagsText(const backup::Snapshot& snapshot);  // "incomplete, rescue", or empty

}  // namespace regrow::cli
