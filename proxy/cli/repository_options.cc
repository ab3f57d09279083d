#include "proxy/cli/repository_options.h"

#include <fmt/core.h>

#include "proxy/cli/verb_output.h"

namespace regrow::cli {

void addRepositoryOptions(CLI::App* verb, RepositoryArguments& a) {
    verb->add_option("--repo", a.repo, "the repository: a directory")->type_name("DIR");
    verb->add_option("--key-file", a.key_file, "the file with its key (regrow key new)")
        ->type_name("FILE");
    verb->add_flag("--json", a.json, "progress and result as JSON lines");
}

void addInstant(CLI::App* verb, std::string& at) {
    verb->add_option("--at", at,
                     "latest, a time (the newest captured then or before), or a snapshot's id")
        ->type_name("TIME|SNAPSHOT|latest")
        ->check(CLI::Validator(notAnInstant, ""));
}

void addInclude(CLI::App* verb, std::vector<std::string>& patterns, const std::string& help) {
    verb->add_option("--include", patterns, help + "; may be repeated")
        ->type_name("GLOB")
        ->allow_extra_args(false);
}

int usageError(const RepositoryArguments& a, std::string message) {
    VerbOutput(a.json).failure({.code = Code::invalid,
                                .source = Source::config,
                                .retryable = false,
                                .message = std::move(message)});
    return kUsage;
}

// Neither half of the pair alone, and not both ways of naming a backend.
int missingRepository(const RepositoryArguments& a, std::string_view verb) {
    if (a.repo.empty() && !a.key_file.empty())
        return usageError(a, "--key-file without --repo: which repository?");
    if (!a.repo.empty())
        return usageError(a, fmt::format("--repo {} needs --key-file FILE", a.repo));
    return usageError(
        a, fmt::format("`regrow {}` without a proxy needs --repo DIR and --key-file FILE", verb));
}

int dispatchVerb(const RepositoryArguments& a, const OnlineRequest& request,
                 const OnlineVerb& online, const std::function<int()>& alone) {
    if (!a.repo.empty() && !a.key_file.empty()) return alone();
    if (a.repo.empty() && a.key_file.empty() && online) return online(request);
    return missingRepository(a, request.verb);
}

}  // namespace regrow::cli
