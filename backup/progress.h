#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

namespace regrow::backup {

// How far a long piece of work is. Totals may grow while work is found, never shrink within a
// phase.
struct Progress {
    std::string_view phase;  // "walk", "read", "prove", "compare", "restore", "verify"
    uint64_t done_bytes = 0;
    uint64_t total_bytes = 0;
    uint64_t done_files = 0;
    uint64_t total_files = 0;
};

// Called often, from the thread that called the work or, in a restore, from one worker at a time;
// must be quick.
using OnProgress = std::function<void(const Progress&)>;

}  // namespace regrow::backup
