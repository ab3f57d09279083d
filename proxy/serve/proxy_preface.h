#pragma once

#include "base/proxy_protocol.h"
#include "base/unique_fd.h"
#include "proxy/net/watch.h"
#include "proxy/serve/client_connection.h"
#include "proxy/serve/deadline_wheel.h"

namespace regrow::serve {

class Worker;

// A connection to a listener with proxy_protocol until its PROXY header has been read, before TLS
// or any protocol begins: then the socket moves on, as a connection of the client that the header
// names, and whoever takes it never knows. The header is looked at where it is, in the kernel's
// buffer, and taken out exactly. Whoever is not trusted, breaks the rules or takes too long is
// closed without a word. Worker's thread; recycled.
class ProxyPreface final : public ClientConnection {
  public:
    explicit ProxyPreface(Worker& worker)
        : worker_(worker),
          deadline_([](void* self) { static_cast<ProxyPreface*>(self)->expired(); }, this) {}

    void open(UniqueFd fd, const Address& peer, uint32_t listener_slot, ProxyAccepts accepts);

    void end() override { close(); }
    void closeWhenIdle() override;
    uint32_t listenerSlot() const override { return listener_slot_; }
    void recycle() override;

  private:
    void onEvent(short what);
    void read();
    void expired();
    void refuse(std::string_view why);
    void moveOn(const ProxyHeader& header, size_t bytes);
    void close();

    Worker& worker_;
    net::Watch watch_;
    Deadline deadline_;
    UniqueFd fd_;
    Address peer_;
    uint32_t listener_slot_ = 0;
    ProxyAccepts accepts_ = ProxyAccepts::any;
    bool fin_ = false;
    bool open_ = false;
};

}  // namespace regrow::serve
