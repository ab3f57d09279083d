#include "proxy/admin/event_hub.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <fmt/core.h>

#include "proxy/admin/stats_json.h"

namespace regrow::admin {
namespace {

constexpr timeval kWriteTimeout{30, 0};
// We read nothing more from a stream's client, but must go on looking for its end.
constexpr size_t kReadAhead = 4096;

struct FreeBuffer {
    void operator()(evbuffer* b) const { evbuffer_free(b); }
};

std::string frame(const control::Event& event) {
    return fmt::format("id: {}\ndata: {}\n\n", event.seq, eventJson(event));
}

}  // namespace

EventHub::EventHub(EventLoop& loop, control::Control& control, Limits limits)
    : control_(control),
      limits_(limits),
      heartbeat_(loop, [this] { sendAll(": alive\n\n", nullptr); }) {
    heartbeat_.every(limits_.heartbeat);
    subscription_ = control_.subscribe([this](const control::Event& event) { publish(event); });
}

EventHub::~EventHub() {
    for (auto& s : streams_) evhttp_connection_set_closecb(s.connection, nullptr, nullptr);
}

void EventHub::open(evhttp_request* request, Interest interest) {
    evhttp_connection* connection = evhttp_request_get_connection(request);
    streams_.push_back({this, request, connection, std::move(interest), {}});
    streams_.back().self = std::prev(streams_.end());
    bufferevent* peer = evhttp_connection_get_bufferevent(connection);
    bufferevent_set_timeouts(peer, nullptr, &kWriteTimeout);
    bufferevent_setwatermark(peer, EV_READ, 0, kReadAhead);
    evhttp_connection_set_closecb(connection, closed, &streams_.back());
    evhttp_send_reply_start(request, 200, "OK");
    replay(streams_.back());
}

// The client left, timed out or its connection failed. When the request is already detached it is
// ours to free.
void EventHub::closed(evhttp_connection*, void* stream) {
    auto* s = static_cast<Stream*>(stream);
    evhttp_request* request = s->request;
    s->hub->streams_.erase(s->self);
    if (!evhttp_request_get_connection(request)) evhttp_send_reply_end(request);  // frees it
}

void EventHub::replay(Stream& stream) {
    std::string text = "retry: 2000\n: regrow events\n\n";
    if (stream.interest.since) {
        const auto& want = stream.interest;
        auto missed = control_.events(want.pool, want.backend, *want.since);
        // A number from the future: the client knew an earlier life of this program, so all is new
        // to it.
        if (missed.empty() &&
            control_.events("", "", *want.since > 0 ? *want.since - 1 : 0).empty())
            missed = control_.events(want.pool, want.backend, 0);
        const size_t first = missed.size() > kReplay ? missed.size() - kReplay : 0;
        for (size_t i = first; i < missed.size(); ++i) text += frame(missed[i]);
    }
    send(stream, text);
}

void EventHub::publish(const control::Event& event) {
    sendAll(frame(event), &event);
}

void EventHub::sendAll(std::string_view text, const control::Event* event) {
    for (auto it = streams_.begin(); it != streams_.end();) {
        Stream& s = *it++;  // dropping one erases it
        const bool wanted =
            !event || ((s.interest.pool.empty() || s.interest.pool == event->pool) &&
                       (s.interest.backend.empty() || s.interest.backend == event->backend));
        if (!wanted || send(s, text)) continue;
        evhttp_connection* connection = s.connection;
        streams_.erase(s.self);
        evhttp_connection_set_closecb(connection, nullptr, nullptr);
        evhttp_connection_free(connection);  // and the request with it
    }
}

bool EventHub::send(Stream& stream, std::string_view text) {
    const auto* unsent =
        bufferevent_get_output(evhttp_connection_get_bufferevent(stream.connection));
    if (evbuffer_get_length(unsent) > limits_.limit_bytes) return false;
    const std::unique_ptr<evbuffer, FreeBuffer> chunk(evbuffer_new());
    evbuffer_add(chunk.get(), text.data(), text.size());
    evhttp_send_reply_chunk(stream.request, chunk.get());
    return true;
}

}  // namespace regrow::admin
