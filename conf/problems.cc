#include "conf/problems.h"

#include <fmt/core.h>

#include <algorithm>
#include <tuple>

namespace regrow::conf {

std::vector<Problem> Problems::take() && {
    constexpr size_t kShown = 100;
    const auto place = [](const Problem& p) { return std::tie(p.line, p.column, p.message); };
    std::sort(found_.begin(), found_.end(),
              [&](const Problem& a, const Problem& b) { return place(a) < place(b); });
    const auto same = [](const Problem& a, const Problem& b) { return a.text() == b.text(); };
    found_.erase(std::unique(found_.begin(), found_.end(), same), found_.end());
    if (found_.size() > kShown) {
        const size_t more = found_.size() - kShown;
        found_.resize(kShown);
        found_.push_back({file_, 0, 0, fmt::format("and {} more problems", more)});
    }
    return std::move(found_);
}

}  // namespace regrow::conf
