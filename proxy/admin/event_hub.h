#pragma once

#include <event2/http.h>

#include <list>
#include <memory>
#include <string>

#include "base/event_loop.h"
#include "proxy/control/status.h"

namespace regrow::admin {

// GET /events: what happens, as server-sent events, to everybody who listens. Control loop only;
// destroyed before the evhttp whose requests it holds.
//
// A stream begins with what the client missed (Last-Event-ID or ?since=; at most kReplay events),
// so that a page that lost its connection has no hole. A comment line every `heartbeat` shows both
// sides that the other lives. A client that reads slower than events come is cut off at
// `limit_bytes` unsent; it comes back with its Last-Event-ID.
//
//   retry: 2000
//   id: 17
//   data: {"seq":17,"time":…,"pool":…,"backend":…,"kind":…,"text":…,"details":{…}}
class EventHub {
  public:
    static constexpr size_t kReplay = 1000;

    struct Limits {
        Duration heartbeat = std::chrono::seconds(15);
        size_t limit_bytes = size_t{1} << 20;
        size_t streams = 64;
    };
    struct Interest {
        std::string pool;     // empty: all
        std::string backend;  // empty: all of the pool
        std::optional<uint64_t> since;
    };

    EventHub(EventLoop& loop, control::Control& control, Limits limits);
    ~EventHub();

    bool full() const { return streams_.size() >= limits_.streams; }
    // Takes `request`, whose output headers are set, and answers it for as long as the client
    // stays.
    void open(evhttp_request* request, Interest interest);

  private:
    struct Stream {
        EventHub* hub;
        evhttp_request* request;
        evhttp_connection* connection;
        Interest interest;
        std::list<Stream>::iterator self;
    };
    static void closed(evhttp_connection* connection, void* stream);
    void publish(const control::Event& event);
    void replay(Stream& stream);
    bool send(Stream& stream, std::string_view text);  // false: too slow, to be dropped
    void sendAll(std::string_view text, const control::Event* event);

    control::Control& control_;
    Limits limits_;
    std::list<Stream> streams_;
    Timer heartbeat_;
    std::shared_ptr<void> subscription_;
};

}  // namespace regrow::admin
