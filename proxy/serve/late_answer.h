#pragma once

#include "proxy/serve/backend_user.h"
#include "proxy/serve/deadline_wheel.h"

namespace regrow::serve {

class Worker;

// Waits for an answer that nobody needs any more, of a backend that fell silent: when it comes, the
// backend is taken again. It costs no client anything, as a request sent to find out would. One for
// each place and worker at most; it gives up after the pool's first_byte, and says so to health:
// what asked that backend has long gone elsewhere. Worker's thread.
class LateAnswer final : public BackendUser {
  public:
    explicit LateAnswer(Worker& worker)
        : worker_(worker),
          deadline_([](void* self) { static_cast<LateAnswer*>(self)->onTooLate(); }, this) {}

    bool waiting() const { return stream_ != nullptr; }
    void adopt(BackendStream& stream, Duration patience);

    void onConnected(BackendStream&) override {}
    void onConnectFailed(BackendStream&, int) override {}
    void onUpstreamEvent(BackendStream& from, bool readable, bool writable) override;
    void onFenced(BackendStream& from) override;
    bool clientEnds(ClientEnds&) const override { return false; }
    void onReleased() override {}
    void onResume() override {}

  private:
    void onTooLate();
    void end();

    Worker& worker_;
    BackendStream* stream_ = nullptr;
    Deadline deadline_;
};

}  // namespace regrow::serve
