#include "proxy/serve/h2_connection.h"

#include <utility>

#include "proxy/serve/worker.h"

namespace regrow::serve {
namespace {

constexpr size_t kFrameRoom = 17 * 1024;  // a frame and its nine bytes
constexpr int kRounds = 16;

}  // namespace

void H2Connection::flushSoon() {
    worker_.flushLater(*this);
}

bool H2Connection::writeOut() {
    for (int round = 0; round < kRounds; ++round) {
        if (!out_.empty()) {
            const net::IoResult r = transmit(out_.view());
            if (r.kind == net::IoResult::Kind::failed) return false;
            out_.consume(r.bytes);
            if (!out_.empty()) return true;
            out_.release(worker_.buffers);
        }
        if (!library_ || !gather()) return true;
    }
    flushSoon();
    return true;
}

// False: there is nothing to send.
bool H2Connection::gather() {
    out_.ensure(worker_.buffers);
    out_.rewind();
    while (out_.room() >= kFrameRoom) {
        const uint8_t* frame = nullptr;
        const ssize_t size = nghttp2_session_mem_send(library_, &frame);
        if (size <= 0) break;
        out_.append({reinterpret_cast<const char*>(frame), static_cast<size_t>(size)});
        gathered_ += static_cast<size_t>(size);
    }
    tellReadable();  // a stream that was reset is closed when its frame goes out
    tellWritable();
    if (!out_.empty()) return true;
    out_.release(worker_.buffers);
    return false;
}

bool H2Connection::takeFrame(const uint8_t* head, std::string_view payload) {
    constexpr size_t kHead = 9;
    if (out_.room() < kHead + payload.size()) return false;
    out_.append({reinterpret_cast<const char*>(head), kHead});
    if (!payload.empty()) out_.append(payload);  // the end alone
    gathered_ += kHead + payload.size();
    return true;
}

void H2Connection::onData(int32_t id, std::string_view payload) {
    H2Flow* const flow = flowOf(id);
    if (!flow) {
        nghttp2_session_consume_connection(library_, payload.size());
    } else if (flow->take(payload)) {
        readableLater(*flow);
    }
}

void H2Connection::forget() {
    nghttp2_session_del(std::exchange(library_, nullptr));
    out_.release(worker_.buffers);
    Link<InFlush>::unlink();
}

}  // namespace regrow::serve
