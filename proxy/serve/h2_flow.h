#pragma once

#include <nghttp2/nghttp2.h>

#include <string>
#include <string_view>

#include "proxy/serve/buffer.h"
#include "proxy/serve/endpoint.h"
#include "proxy/serve/list.h"

namespace regrow::serve {

class H2Connection;
class Worker;
struct InReadable;
struct InWritable;

// The two bodies of an HTTP/2 stream, the one that comes and the one that goes. What arrives waits
// in `received_` until the exchange has passed on what it had before; the peer may send as much as
// that holds (its window is opened again as the exchange reads). What the exchange gives waits in
// `out_` until the connection's turn to write and the peer's window allow it, up to kHigh bytes;
// beyond that the exchange stops reading on its other side. Worker's thread.
class H2Flow : public Link<InReadable>, public Link<InWritable> {
  public:
    static constexpr uint32_t kWindow = 65'535;  // what a peer may send unasked; fits a block

    explicit H2Flow(Worker& worker) : worker_(worker) {}
    virtual ~H2Flow() = default;
    H2Flow(const H2Flow&) = delete;
    H2Flow& operator=(const H2Flow&) = delete;
    int32_t id() const { return id_; }

    // From the connection.
    bool take(std::string_view payload);  // true: somebody will want to hear of it
    void addTrailer(std::string_view name, std::string_view value);
    void ended() { ended_ = true; }  // the peer sent all it will
    ssize_t offer(size_t most, uint32_t& flags);
    int give(const uint8_t* frame_head, size_t length);
    virtual void wake() = 0;  // there is something new to read
    virtual void room() = 0;  // there is room to write again

  protected:
    static constexpr size_t kHigh = 64 * 1024;
    static constexpr size_t kLow = 32 * 1024;

    virtual bool wanted() const = 0;  // somebody reads what arrives
    virtual void tooManyTrailers() = 0;
    virtual void wrote(size_t) {}  // so many bytes of out_

    void reset();  // for the next use
    Endpoint::Filled read();
    void releaseRead();
    size_t put(std::string_view bytes);  // what fits; the rest waits for room()
    void endOutput();
    void abandon(uint32_t error);  // RST_STREAM
    void dropInput();              // both buffers, and what they hold of the peer's window
    void dropOutput();

    Worker& worker_;
    H2Connection* connection_ = nullptr;
    Buffer in_;
    Buffer received_;
    Buffer out_;
    std::string trailers_in_;
    std::string trailers_out_;
    uint32_t trailer_count_ = 0;
    int32_t id_ = 0;
    bool ended_ = false;     // what the peer sends
    bool complete_ = false;  // what we send: all of it is in out_
    bool blocked_ = false;   // somebody waits for room
    bool gone_ = false;      // closed or reset

  private:
    void submitTrailers();
};

}  // namespace regrow::serve
