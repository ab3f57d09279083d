#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/password_file.h"
#include "conf/config.h"
#include "proxy/balance/error_pages.h"
#include "proxy/balance/router.h"
#include "proxy/http/field_edits.h"
#include "proxy/http/location.h"
#include "proxy/http/trust.h"

// The rules of a listener as workers use them, built once for each configuration, immutable, and
// part of the view. A rule that only leads to a pool has no actions, and costs a branch.
namespace regrow {

struct RouteRedirect {
    proxy::Location location;
    uint16_t status = 302;
};

struct RouteAuth {
    std::string challenge;  // the value of WWW-Authenticate
    std::shared_ptr<const PasswordFile> users;
    bool pass = false;
};

struct RouteActions {
    std::string path;  // as the rule has it, canonical
    std::optional<RouteRedirect> redirect;
    std::optional<conf::Respond> respond;
    std::string rewrite;  // takes the place of `path`; empty: the path stays
    std::string host;     // sent to the backend; empty: the client's
    proxy::FieldEdits request;
    proxy::FieldEdits response;
    conf::Retry retry;  // the pool's, or the rule's own
    Duration first_byte{}, idle{};
    uint64_t max_body = UINT64_MAX;
    std::optional<RouteAuth> auth;
    proxy::ProxyTrust allow, deny;
    std::shared_ptr<const ErrorPages> pages;  // the listener's among them

    // The head as the client sent it is not what the backend gets.
    bool editsRequest() const { return !rewrite.empty() || request.any() || (auth && !auth->pass); }
};

struct RouteTarget {
    uint32_t pool = 0;  // index into View::pools; meaningless for a redirect or a fixed answer
    std::shared_ptr<const RouteActions> actions;  // nullptr: none
};

struct RouteTable {
    Router router;
    std::vector<RouteTarget> targets;  // by what the router answers
    std::shared_ptr<const ErrorPages> pages;
};

}  // namespace regrow
