#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "proxy/recovery/steps.h"

namespace regrow::control {

struct LineageFound {
    std::string server;
    std::string lineage;
    uint64_t epoch = 0;
};

// Which of `servers` has the newest data of `backend` (POOL/NAME): the one whose marker has the
// highest epoch. What state_dir remembered is found again this way when it is lost; the file names
// only the first server, which may have been replaced long ago. One directory after the other; one
// that cannot be read counts as unmarked. Destroying the handle forgets the answer. Control loop
// only.
recovery::Handle findLineage(recovery::LocalSteps& steps, std::vector<conf::Server> servers,
                             std::string backend,
                             std::move_only_function<void(std::optional<LineageFound>)> done);

}  // namespace regrow::control
