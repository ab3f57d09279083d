#include "proxy/serve/h2_connection.h"

// nghttp2's callbacks, as calls of the connection's members.
namespace regrow::serve {
namespace {

std::string_view viewOf(const uint8_t* bytes, size_t size) {
    return {reinterpret_cast<const char*>(bytes), size};
}

H2Connection& connectionOf(void* self) {
    return *static_cast<H2Connection*>(self);
}

ssize_t onOffer(nghttp2_session*, int32_t, uint8_t*, size_t most, uint32_t* flags,
                nghttp2_data_source* source, void*) {
    return static_cast<H2Flow*>(source->ptr)->offer(most, *flags);
}

// What breaks the rules is refused, not skipped: what we skip a backend would not see, but another
// proxy in front of us might have.
int onInvalidHeader(nghttp2_session*, const nghttp2_frame*, const uint8_t*, size_t, const uint8_t*,
                    size_t, uint8_t, void*) {
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

}  // namespace

nghttp2_data_provider H2Setup::providerOf(H2Flow& flow) {
    nghttp2_data_provider provider{};
    provider.source.ptr = &flow;
    provider.read_callback = onOffer;
    return provider;
}

H2Setup::H2Setup() {
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_option_new(&options);
    nghttp2_option_set_no_auto_window_update(options, 1);  // windows open as exchanges read
    nghttp2_option_set_no_closed_streams(options, 1);      // priorities are not kept
    nghttp2_session_callbacks_set_on_begin_headers_callback(
        callbacks, [](nghttp2_session*, const nghttp2_frame* frame, void* self) {
            connectionOf(self).onBeginHeaders(*frame);
            return 0;
        });
    nghttp2_session_callbacks_set_on_header_callback(
        callbacks,
        [](nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
           const uint8_t* value, size_t value_size, uint8_t, void* self) {
            connectionOf(self).onHeader(*frame, viewOf(name, name_size), viewOf(value, value_size));
            return 0;
        });
    nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, onInvalidHeader);
    nghttp2_session_callbacks_set_on_frame_recv_callback(
        callbacks, [](nghttp2_session*, const nghttp2_frame* frame, void* self) {
            connectionOf(self).onFrame(*frame);
            return 0;
        });
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
        callbacks,
        [](nghttp2_session*, uint8_t, int32_t id, const uint8_t* bytes, size_t size, void* self) {
            connectionOf(self).onData(id, viewOf(bytes, size));
            return 0;
        });
    nghttp2_session_callbacks_set_on_stream_close_callback(
        callbacks, [](nghttp2_session*, int32_t id, uint32_t error, void* self) {
            connectionOf(self).onStreamClosed(id, error);
            return 0;
        });
    nghttp2_session_callbacks_set_on_frame_send_callback(
        callbacks, [](nghttp2_session*, const nghttp2_frame* frame, void* self) {
            connectionOf(self).onFrameSent(*frame);
            return 0;
        });
    nghttp2_session_callbacks_set_before_frame_send_callback(
        callbacks, [](nghttp2_session*, const nghttp2_frame* frame, void* self) {
            connectionOf(self).onSending(*frame);
            return 0;
        });
    nghttp2_session_callbacks_set_on_frame_not_send_callback(
        callbacks, [](nghttp2_session*, const nghttp2_frame* frame, int, void* self) {
            connectionOf(self).onFrameNotSent(*frame);
            return 0;
        });
    nghttp2_session_callbacks_set_send_data_callback(
        callbacks, [](nghttp2_session*, nghttp2_frame*, const uint8_t* head, size_t size,
                      nghttp2_data_source* source,
                      void*) { return static_cast<H2Flow*>(source->ptr)->give(head, size); });
}

H2Setup::~H2Setup() {
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(options);
}

}  // namespace regrow::serve
