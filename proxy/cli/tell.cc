#include "proxy/cli/tell.h"

#include <fmt/core.h>

#include "base/json.h"
#include "proxy/cli/output.h"

namespace regrow::cli {

int tell(const AdminOptions& options, const std::string& path) {
    const auto client = AdminClient::open(options);
    if (!client) return report(client.error());
    const auto body = client->post(path);
    if (!body) return report(body.error());
    const auto answer = json::parse(*body);
    if (options.json || !answer) return print(*body + "\n"), kExitDone;
    return print(printable(json::getString(*answer, "message").value_or("done")) + "\n"), kExitDone;
}

int tellBackend(const AdminOptions& options, const std::string& target, const std::string& verb,
                const std::string& query) {
    const auto halves = splitTarget(target);
    if (!halves) return report(halves.error()), kExitUsage;
    return tell(options, fmt::format("/api/pools/{}/backends/{}/{}{}", escaped(halves->first),
                                     escaped(halves->second), verb, query));
}

}  // namespace regrow::cli
