#pragma once

#include <nghttp2/nghttp2.h>

#include "base/io_result.h"
#include "proxy/serve/h2_flow.h"

namespace regrow::serve {

class Worker;
struct InFlush;

// What every HTTP/2 connection of a worker starts from, to a client or to a backend. nghttp2 copies
// both.
class H2Setup {
  public:
    H2Setup();
    ~H2Setup();
    H2Setup(const H2Setup&) = delete;
    H2Setup& operator=(const H2Setup&) = delete;
    static nghttp2_data_provider providerOf(H2Flow& flow);  // of what it sends
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_option* options = nullptr;
};

// One connection speaking HTTP/2 (RFC 9113), whichever side began it: frames, header compression
// and flow control are nghttp2's; this class writes what the streams have, once a loop turn, in as
// few calls as fit, and tells them of news after all that came in has been looked at.
//
// Nothing is written or closed while nghttp2 is calling back: streams mark the connection
// (flushSoon) and the worker flushes it at the end of the turn. Worker's thread.
class H2Connection : public Link<InFlush> {
  public:
    explicit H2Connection(Worker& worker) : worker_(worker) {}
    virtual ~H2Connection() = default;
    H2Connection(const H2Connection&) = delete;
    H2Connection& operator=(const H2Connection&) = delete;

    virtual void flush() = 0;  // at the end of a turn

    // For its streams.
    Worker& worker() { return worker_; }
    nghttp2_session* library() { return library_; }
    void flushSoon();
    void readableLater(H2Flow& flow) {
        if (!flow.Link<InReadable>::linked()) readable_.pushBack(flow);
    }
    void writableLater(H2Flow& flow) {
        if (!flow.Link<InWritable>::linked()) writable_.pushBack(flow);
    }
    // A DATA frame: its nine bytes, then the payload. False: no room now.
    bool takeFrame(const uint8_t* head, std::string_view payload);

  protected:
    friend class H2Setup;

    virtual net::IoResult transmit(std::string_view bytes) = 0;
    // Writes what there is. False: the connection failed.
    bool writeOut();
    void tellReadable() {
        while (!readable_.empty()) readable_.popFront().wake();
    }
    void tellWritable() {
        while (!writable_.empty()) writable_.popFront().room();
    }
    H2Flow* flowOf(int32_t id) const {
        return static_cast<H2Flow*>(nghttp2_session_get_stream_user_data(library_, id));
    }
    // Bytes of nghttp2 that the transport has taken. What it gave so far: that and out_'s.
    uint64_t written() const { return gathered_ - out_.size(); }
    void forget();  // the connection is closed: no library, nothing to write

    // From nghttp2.
    virtual void onBeginHeaders(const nghttp2_frame& frame) = 0;
    virtual void onHeader(const nghttp2_frame& frame, std::string_view name,
                          std::string_view value) = 0;
    virtual void onFrame(const nghttp2_frame& frame) = 0;
    virtual void onData(int32_t id, std::string_view payload);
    virtual void onStreamClosed(int32_t id, uint32_t error) = 0;
    virtual void onSending(const nghttp2_frame&) {}
    virtual void onFrameSent(const nghttp2_frame&) {}
    virtual void onFrameNotSent(const nghttp2_frame&) {}

    Worker& worker_;
    nghttp2_session* library_ = nullptr;
    Buffer out_;
    uint64_t gathered_ = 0;

  private:
    bool gather();

    List<H2Flow, InReadable> readable_;
    List<H2Flow, InWritable> writable_;
};

}  // namespace regrow::serve
