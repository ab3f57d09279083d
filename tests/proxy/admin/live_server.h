#pragma once

#include <future>
#include <memory>
#include <string>
#include <thread>

#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "proxy/admin/admin_server.h"
#include "tests/proxy/admin/fake_control.h"

namespace regrow::admin::testing {

// The admin endpoint on its own loop and thread, with a FakeControl behind it.
class LiveServer {
  public:
    explicit LiveServer(const std::string& listen = "127.0.0.1:0",
                        const std::string& token_file = "", AdminLimits limits = {});
    ~LiveServer();

    Address address() const { return server_->address(); }
    std::string text() const { return address().text(); }
    // Runs `fn` on the loop and gives back what it returns.
    template <class Fn>
    auto onLoop(Fn fn) {
        std::promise<decltype(fn(control_))> done;
        auto result = done.get_future();
        loop_.post([&] {
            if constexpr (std::is_void_v<decltype(fn(control_))>) {
                fn(control_), done.set_value();
            } else {
                done.set_value(fn(control_));
            }
        });
        return result.get();
    }

  private:
    EventLoop loop_;
    FakeControl control_;
    std::unique_ptr<AdminServer> server_;
    std::thread thread_;
};

// A client that can misbehave: bytes out, bytes in, each wait with a deadline.
class RawClient {
  public:
    explicit RawClient(const Address& address);
    bool send(std::string_view bytes);  // false when the peer has closed
    // Reads until `text` has come (true), or the peer closed or 10 s passed (false). What came is
    // in received().
    bool readUntil(std::string_view text);
    bool readToEnd();  // true when the peer closed within 10 s
    const std::string& received() const { return received_; }
    int fd() const { return fd_.get(); }

  private:
    bool readSome(Instant deadline);
    UniqueFd fd_;
    std::string received_;
    bool ended_ = false;
};

// One exchange on a connection of its own. The answer is head and body together.
std::string exchange(const Address& address, const std::string& request_line,
                     const std::string& headers = "", const std::string& body = "");
int statusOf(const std::string& answer);
std::string bodyOf(const std::string& answer);

}  // namespace regrow::admin::testing
