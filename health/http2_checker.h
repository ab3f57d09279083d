#pragma once

#include <nghttp2/nghttp2.h>

#include <memory>
#include <string>

#include "health/checker.h"
#include "health/http_expectation.h"
#include "health/probe.h"

namespace regrow::health {

// As HttpChecker, for servers that are spoken to over HTTP/2: plain with prior knowledge, over TLS
// by ALPN (RFC 9113 3). One request on a connection of its own; the status decides, and a body is
// refused (RST_STREAM), which costs the server nothing.
class Http2Checker final : public Checker, private Probe {
  public:
    // check.kind == http. `secure`: the scheme that is asked for.
    Http2Checker(EventLoop& loop, const Address& address, const conf::Check& check,
                 const Speech& speech);
    void start(Done done) override { Probe::start(std::move(done)); }

  private:
    struct Delete {
        void operator()(nghttp2_session* session) const { nghttp2_session_del(session); }
    };
    void connected() override;
    void ready() override;
    bool heard() const override { return heard_; }
    bool ask();
    void converse();
    bool tell();
    bool listen();
    void judge();
    void onHeader(std::string_view name, std::string_view value);
    void onClosed(uint32_t error);

    conf::Check check_;
    std::string authority_;
    bool secure_;
    std::unique_ptr<nghttp2_session, Delete> session_;
    std::string out_;
    int status_ = 0;  // of the last head
    bool answered_ = false;
    bool closed_ = false;  // the stream
    uint32_t error_ = 0;   // that ended it
    bool heard_ = false;
    bool spoke_http2_ = false;
};

}  // namespace regrow::health
