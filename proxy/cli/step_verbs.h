#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "backup/activate.h"
#include "proxy/cli/repository_verbs.h"

// Single steps of a recovery that a proxy runs as child processes, so that a slow disk never stops
// its control loop.
namespace regrow::cli {

struct ActivateArguments {
    backup::ActivateRequest request;
    bool json = false;
};

struct UntouchedArguments : RepositoryArguments {
    std::string name;
    std::string data;
    std::string exited_at;
    std::string lineage;
    std::optional<uint64_t> epoch;
};

struct FreshArguments
    : RepositoryArguments {  // with a repository: refused when it has snapshots of that name
    std::string data;
    std::string backend;
    std::string lineage;
    uint64_t epoch = 0;
};

struct RaiseArguments {
    std::string data;
    std::string backend;
    std::string lineage;
    uint64_t epoch = 0;
    bool json = false;
};

int stepActivate(const ActivateArguments& arguments);
int stepUntouched(const UntouchedArguments& arguments);
int stepFresh(const FreshArguments& arguments);
int stepRaise(const RaiseArguments& arguments);

}  // namespace regrow::cli
