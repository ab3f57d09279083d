#pragma once

#include <memory>

#include "proxy/balance/balancer.h"
#include "proxy/http/forward.h"
#include "proxy/serve/backend_user.h"
#include "proxy/serve/cause.h"
#include "proxy/serve/client_connection.h"
#include "proxy/serve/deadline_wheel.h"
#include "proxy/serve/endpoint.h"
#include "proxy/serve/local_view.h"
#include "proxy/serve/observation.h"
#include "proxy/serve/upstream_pool.h"

namespace regrow::serve {

class HoldQueue;
class Worker;

// One client connection of a listener in TCP mode: a backend is chosen as for a request, then bytes
// go both ways until both sides ended theirs.
//
//     dispatch → [waiting] → connecting → relaying → closed
//         ↑______________________|   (refused: nothing was sent, so another one may be asked)
//
// While it waits nothing is read: what the client says stays in its socket, and the first backend
// that accepts gets all of it. From the first byte on nothing can be repeated, so a fence resets
// it. Worker's thread; recycled.
class TcpSession final : public Endpoint, public ClientConnection, public BackendUser {
  public:
    explicit TcpSession(Worker& worker)
        : worker_(worker),
          deadline_([](void* self) { static_cast<TcpSession*>(self)->onDeadline(); }, this) {}

    void open(UniqueFd fd, const Address& peer, uint32_t listener_slot, const ClientEnds* relayed);

    void end() override;
    void closeWhenIdle() override {}  // it ends when its two sides say so, or with the drain
    uint32_t listenerSlot() const override { return listener_slot_; }
    void recycle() override;

    void onConnected(BackendStream& from) override;
    void onConnectFailed(BackendStream& from, int why) override;
    void onUpstreamEvent(BackendStream& from, bool readable, bool writable) override;
    void onFenced(BackendStream& from) override;
    bool clientEnds(ClientEnds& ends) const override;
    void onReleased() override;
    void onResume() override;

  private:
    enum class State : uint8_t { closed, starting, waiting, connecting, relaying };
    enum class Flow : uint8_t { blocked, ended, from_failed, to_failed, yield };

    void onEvents(short what);
    void onDeadline();
    void watchLeaving();

    void dispatch();
    bool take(const BackendView& backend);
    void connected();
    void connectFailed(int why);
    void tryAgain(bool fenced);
    void enqueue(Duration pace);
    void observe(Observation::Kind kind, std::string_view detail);

    void pump();
    Flow pumpFlow(Endpoint& from, Endpoint& to, bool& finished, uint64_t& moved);
    void armSilence();

    // `detail` is a constant, for the log. A reset tells the client that it did not end well.
    void abort(Cause cause, std::string_view detail);
    void finish();
    void log();
    void dropConnection(bool reset);

    Worker& worker_;
    Deadline deadline_;  // of the phase: hold, connect, silence
    UpstreamConnection* connection_ = nullptr;
    ViewRef view_;
    const PoolView* pool_ = nullptr;
    PoolShard* stats_ = nullptr;
    HoldQueue* queue_ = nullptr;
    proxy::ClientIdentity identity_;
    std::unique_ptr<ClientEnds> relayed_;  // by a PROXY header
    RequestKey key_;
    Tried tried_;
    std::string_view detail_;
    Instant started_{};
    Instant attempt_at_{};
    Duration connect_time_{};
    uint64_t to_client_ = 0;
    uint64_t to_backend_ = 0;
    uint32_t last_slot_ = UINT32_MAX;
    uint32_t listener_slot_ = 0;
    int attempts_ = 0;
    int tries_ = 0;  // since it last waited
    State state_ = State::closed;
    Cause cause_ = Cause::none;
    bool client_done_ = false;  // that side sent its end, and it was passed on
    bool backend_done_ = false;
};

}  // namespace regrow::serve
