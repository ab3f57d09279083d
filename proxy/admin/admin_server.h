#pragma once

#include <event2/http.h>
#include <event2/listener.h>

#include <memory>

#include "base/address.h"
#include "base/event_loop.h"
#include "base/result.h"
#include "conf/config.h"
#include "proxy/admin/access.h"
#include "proxy/admin/connection_guard.h"
#include "proxy/admin/event_hub.h"
#include "proxy/admin/page.h"
#include "proxy/control/status.h"

namespace regrow::admin {

struct AdminLimits {
    size_t connections = 128;
    Duration idle = std::chrono::seconds(30);     // silence
    Duration ceiling = std::chrono::seconds(60);  // from one complete request to the next
    size_t header_bytes = size_t{16} << 10;
    size_t body_bytes = size_t{64} << 10;
    EventHub::Limits events;
};

// The admin endpoint: the page, what Control knows, and what it may be asked, over HTTP on TCP or a
// unix socket. Lives on the control loop, which outlives it, as does `control`. Never blocks: every
// answer is made from memory.
//
// On libevent's evhttp: too lenient a parser for a proxy, good enough behind an address only
// operators reach.
class AdminServer {
  public:
    // Listens. Needs config.listen. Fails when the address is taken, the token unreadable, or when
    // it would be open to other machines without a token.
    static Result<std::unique_ptr<AdminServer>> start(EventLoop& loop,
                                                      const conf::AdminConfig& config,
                                                      control::Control& control,
                                                      AdminLimits limits = {});
    ~AdminServer();
    AdminServer(const AdminServer&) = delete;
    AdminServer& operator=(const AdminServer&) = delete;

    Address address() const { return address_; }  // with the port the kernel chose
    // Reads the token anew (a reload with the same listen); on failure the old one stays in force.
    Result<> reloadToken(const std::string& token_file);

  private:
    struct FreeHttp {
        void operator()(evhttp* h) const { evhttp_free(h); }
    };
    AdminServer(EventLoop& loop, control::Control& control, AdminLimits limits, AccessRules rules);
    Result<> listen(const Address& address);
    void configure();
    void serve(evhttp_request* request);
    void servePage(evhttp_request* request, bool authorized);
    void serveEvents(evhttp_request* request, const Request& asked);
    void reply(evhttp_request* request, const Reply& reply);

    EventLoop& loop_;
    control::Control& control_;
    AdminLimits limits_;
    AccessRules rules_;
    Address address_;
    ino_t socket_inode_ = 0;  // of a unix socket: removed at the end only when it is still ours
    Page page_;
    std::unique_ptr<evhttp, FreeHttp> http_;
    std::unique_ptr<ConnectionGuard> guard_;
    std::unique_ptr<EventHub> events_;  // before http_ in destruction
};

}  // namespace regrow::admin
